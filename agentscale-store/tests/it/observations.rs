//! The observation log: what each store promises, what is dropped and counted, and where old months go.

mod bundle;
mod conformance;
mod dropping;
mod log;
#[cfg(feature = "postgres")]
mod postgres;
mod retirement;
mod scene;
mod suite;
