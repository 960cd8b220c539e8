//! Promises that cross the crates.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod attempts;
mod budgets;
mod cycles;
mod deadlines;
mod decode_stream;
mod dropped;
mod emissions;
mod exactly_once;
mod for_whom;
mod guide;
mod invariants;
mod jobs;
mod llm_simulator;
mod local;
mod meddling;
mod observations;
mod outbox;
mod passivation;
mod permits;
mod quickstart;
mod scene;
mod shutdown;
mod stamps;
mod start;
mod steps;
mod streams;
mod threads;
mod torture;
mod turns;
