//! The vocabulary of agentscale: envelope, clock, errors, traits, tower layers, transports.

pub mod checkpoint;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod ids;
mod json;
pub mod knowledge;
pub mod layers;
pub mod llm;
mod message;
pub mod metrics;
pub mod observe;
pub mod service;
mod stamp;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod time;
pub mod transport;

pub use checkpoint::CheckpointStore;
pub use error::{Error, ErrorKind, Result, Retry, WireError};
pub use ids::{Account, AgentId, AgentKey, AgentType, IdempotencyKey, MAX_NAME_BYTES, Tenant, Topic};
pub use json::Json;
pub use knowledge::{Embedder, KnowledgeClient};
pub use llm::{LlmProvider, LlmProviderExt};
pub use message::{
    Address, AgentMessage, Body, CallChain, ContentType, Deadline, Destination, Envelope, MessageId,
    MessageKind, Priority, TraceContext,
};
pub use observe::Observer;
pub use stamp::{HybridClock, Stamp};
pub use time::Clock;
pub use transport::{Transport, TransportExt};
