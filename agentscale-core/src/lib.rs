//! The vocabulary of agentscale: envelope, clock, errors, traits, tower layers, transports.
