//! Queues of jobs.

mod conformance;
mod processes;
mod sqlite;
