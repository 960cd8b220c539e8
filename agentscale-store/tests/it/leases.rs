//! Leases: what each store promises, and who holds them.

mod conformance;
mod held;
mod scene;
mod sqlite;
