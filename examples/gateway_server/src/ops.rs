//! What operators ask: is it alive, does it want calls, what has it done, what does it offer. No key is asked for: what
//! is told here is for the inside of the network.

pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod openapi;
