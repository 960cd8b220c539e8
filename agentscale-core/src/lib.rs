//! The vocabulary of agentscale: envelope, clock, errors, traits, tower layers, transports.
//!
//! Whoever writes a backend of [`Transport`], [`LlmProvider`], [`KnowledgeClient`] or [`CheckpointStore`], or a layer
//! before one, depends on this crate alone. Without features it pulls in no network client and no database.
//!
//! Not for running agents: pools, turns and commits are in the crate `agentscale`, which re-exports this one as `core`.
//!
//! ```
//! use agentscale_core::transport::{DirectTransport, MailboxLimits, Subscription};
//! use agentscale_core::{Address, AgentMessage, Body, Destination, HybridClock, Tenant, Transport, TransportExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> agentscale_core::Result<()> {
//! let transport = DirectTransport::new();
//! let mut questions =
//!     transport.subscribe(Subscription::pool("clock".try_into()?), MailboxLimits::default()).await?;
//!
//! let stamp = HybridClock::new(1).stamp(1_795_000_000_000_000);
//! let to = Destination::Agent(Address::new("clock", "kitchen")?);
//! let asked = transport.request(AgentMessage::request(Tenant::new("acme")?, to, "what time is it?", stamp));
//! let answered = async {
//!     let mut question = questions.next().await;
//!     let reply = question.message.reply(Body::new("ten past two".to_owned()), stamp);
//!     question.respond(Ok(reply))
//! };
//! let (reply, _) = tokio::join!(asked, answered);
//! assert_eq!(*reply?.body::<String>()?, "ten past two");
//! # Ok(())
//! # }
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `testkit` | `testkit`: a scripted provider, a store with faults, a runtime whose time stands still |
//! | `conformance` | `conformance`: the promises of each trait as tests for any backend of it, and `testkit` |

pub mod batch;
pub mod budget;
pub mod checkpoint;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod ids;
pub mod jobs;
mod json;
pub mod knowledge;
pub mod layers;
pub mod lease;
pub mod llm;
mod message;
pub mod metrics;
pub mod observe;
pub mod runs;
pub mod schedule;
pub mod secrets;
pub mod service;
pub mod slots;
mod stamp;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod time;
pub mod transport;

pub use budget::BudgetLedger;
pub use checkpoint::CheckpointStore;
pub use error::{Error, ErrorKind, Result, Retry, WireError};
pub use ids::{
    Account, AgentId, AgentKey, AgentType, IdempotencyKey, MAX_NAME_BYTES, TaskName, Tenant, Topic,
};
pub use jobs::JobQueue;
pub use json::Json;
pub use knowledge::{Embedder, KnowledgeClient};
pub use lease::LeaseStore;
pub use llm::{LlmProvider, LlmProviderExt};
pub use message::{
    Address, AgentMessage, Body, CallChain, ContentType, Deadline, Destination, Envelope, MessageId,
    MessageKind, Priority, TraceContext, TraceId,
};
pub use observe::Observer;
pub use runs::RunStreams;
pub use schedule::ScheduleStore;
pub use secrets::SecretSource;
pub use slots::SlotStore;
pub use stamp::{HybridClock, Stamp};
pub use time::Clock;
pub use transport::{Transport, TransportExt};
