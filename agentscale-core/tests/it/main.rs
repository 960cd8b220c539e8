//! The promises of the vocabulary.

mod envelope;
mod layers;
mod metrics;
mod time;
mod transport;
