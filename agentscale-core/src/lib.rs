//! The vocabulary of agentscale: envelope, clock, errors, traits, tower layers, transports.

mod error;

pub use error::{Error, ErrorKind, Result, Retry, WireError};
