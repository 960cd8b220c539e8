//! Commits that a log acknowledges before the shared store has them.

pub(crate) mod conformance;
mod faults;
mod processes;
mod replay;
mod scene;
mod takeovers;
