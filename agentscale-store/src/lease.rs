//! The rules of leases, without a place to keep them.

mod memory;
mod record;

pub use memory::InMemoryLeaseStore;
pub(crate) use record::{Held, Record};
