//! What the stores promise.

mod conformance;
mod durability;
