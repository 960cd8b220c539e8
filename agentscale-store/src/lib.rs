//! What must survive a crash: checkpoints on SQLite and in memory.

mod delta;
mod memory;
mod retention;
pub mod sqlite;
mod stores;

pub use memory::InMemoryCheckpointStore;
pub use sqlite::checkpoint::{CheckpointStats, SqliteCheckpointConfig, SqliteCheckpointStore};
pub use stores::Stores;
