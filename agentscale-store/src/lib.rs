//! What must survive a crash: checkpoints on SQLite and in memory.

mod delta;
mod memory;
mod retention;
pub mod sqlite;

pub use memory::InMemoryCheckpointStore;
