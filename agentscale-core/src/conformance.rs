//! Suites that hold a backend to the promises of its trait, one named test for each. Feature `conformance`.

pub mod budget;
pub mod checkpoint;
pub mod jobs;
pub mod knowledge;
pub mod lease;
pub mod llm;
pub mod runs;
pub mod schedule;
pub mod secrets;
pub mod slots;
pub mod transport;
