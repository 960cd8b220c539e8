//! What tests of agents, layers and backends use. Feature `testkit`.

mod paused;
mod scripted_provider;

pub use paused::{PausedClock, PausedRuntime};
pub use scripted_provider::ScriptedProvider;
