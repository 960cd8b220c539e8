//! Leases: what each store promises, and who holds them.

mod conformance;
mod held;
mod histories;
mod scene;
mod sqlite;
