//! The promises of the vocabulary.

mod envelope;
mod layers;
mod metrics;
mod scripted_provider;
mod time;
mod transport;
