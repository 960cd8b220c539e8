//! What the stores promise.

mod conformance;
mod durability;
mod files;
mod processes;
mod same_answers;
mod scene;
