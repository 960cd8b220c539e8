//! The promises of the vocabulary.

mod envelope;
mod time;
