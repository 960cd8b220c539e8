//! What tests of agents, layers and backends use. Feature `testkit`.

mod faulty_store;
mod paused;
mod scripted_provider;
mod server;

pub use faulty_store::{FaultyStore, StoreFault, StoreOperation};
pub use paused::{PausedClock, PausedRuntime};
pub use scripted_provider::ScriptedProvider;
pub use server::TestServer;
