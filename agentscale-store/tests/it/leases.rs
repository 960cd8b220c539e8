//! Leases: what each store promises, and who holds them.

mod bundle;
mod conformance;
mod held;
mod histories;
#[cfg(feature = "postgres")]
mod postgres;
pub(crate) mod scene;
mod sqlite;
