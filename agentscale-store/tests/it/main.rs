//! What the stores promise.

mod conformance;
mod durability;
mod faults;
mod files;
mod processes;
mod retention;
mod same_answers;
mod scene;
mod servers;
mod small_disk;
