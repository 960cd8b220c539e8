//! Streams of runs in a Redis.

mod conformance;
mod processes;
mod restarts;
mod scene;
