//! Promises that cross the crates.

mod turns;
