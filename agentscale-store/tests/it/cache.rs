//! Entries that are void when what they were made of changes.

mod document_load;
#[cfg(feature = "redis")]
mod gate;
#[cfg(feature = "redis")]
mod hostile;
#[cfg(feature = "redis")]
mod lost;
#[cfg(feature = "redis")]
mod nodes;
mod one_process;
#[cfg(feature = "redis")]
mod restarts;
#[cfg(feature = "redis")]
mod scene;
mod transport;
