//! What must survive a crash: checkpoints on SQLite and in memory.

pub mod sqlite;
