//! What stores of slots share, and the one in memory.

mod account;
mod memory;

pub(crate) use account::{Hold, exchange};
pub use memory::InMemorySlotStore;
pub(crate) use memory::{micros, older};
