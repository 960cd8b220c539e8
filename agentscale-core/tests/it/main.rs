//! The promises of the vocabulary.

mod batch;
mod envelope;
mod invariants;
mod layers;
mod metrics;
mod runs;
mod scripted_provider;
mod secrets;
mod service;
mod time;
mod transport;
mod vocabulary;
