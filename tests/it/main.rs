//! Promises that cross the crates.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod guide;
mod quickstart;
mod torture;
mod turns;
