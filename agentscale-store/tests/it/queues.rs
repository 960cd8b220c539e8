//! What breaks under a queue of jobs while workers are at it: their process is killed or frozen, the server restarts, and a job
//! kills whatever process runs it.
//!
//! `cargo xtask torture queues --rounds N` runs many more rounds than the tests do: N kills, a fifth as many freezes, a
//! twentieth as many restarts.

mod freezes;
mod kills;
mod ledger;
mod place;
mod process;
#[cfg(feature = "postgres")]
mod restarts;
mod worker;
