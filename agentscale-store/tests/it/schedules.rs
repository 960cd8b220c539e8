//! Schedules: what each store promises, and what befalls those who tick.

mod bundle;
mod conformance;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
