//! Slots of accounts, over each store.

mod conformance;
mod handle;
mod processes;
