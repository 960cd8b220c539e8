//! What tests of agents, layers and backends use. Feature `testkit`.

mod paused;

pub use paused::{PausedClock, PausedRuntime};
