//! An embeddable SDK for building scalable agent runtimes.
//!
//! A host application composes its service from these crates, starts in one process with a folder on disk, and grows
//! by handing the [`Runtime`] other implementations of the traits in [`core`]. Agent code stays the same.
//!
//! ```
//! use agentscale::prelude::*;
//! use agentscale::store::InMemoryCheckpointStore;
//!
//! /// Counts what it is told.
//! struct Counter;
//!
//! #[async_trait]
//! impl Agent for Counter {
//!     type State = u64;
//!
//!     async fn handle(&self, turn: &mut Turn<'_, u64>, message: &AgentMessage) -> Result<Outcome> {
//!         *turn.state_mut() += *message.body::<u64>()?;
//!         Ok(turn.reply(*turn.state()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let store = InMemoryCheckpointStore::new();
//! let runtime = Runtime::builder().checkpoints(store).pool("counter", Counter, Pool::stateful()).start().await?;
//! let alice = runtime.agent(&Tenant::new("acme")?, "counter", "alice")?;
//! alice.tell(2_u64).await?;
//! assert_eq!(alice.ask::<u64, u64>(3).await?, 5);
//! runtime.drain(std::time::Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `llm-anthropic` | `llm::AnthropicProvider`, for Anthropic's messages |
//! | `llm-config` | `llm::config`, a gateway out of a TOML or YAML file that is exchanged while it runs |
//! | `llm-gemini` | `llm::GeminiProvider`, for Gemini's generateContent |
//! | `llm-ollama` | `llm::OllamaProvider`, for Ollama's own API |
//! | `llm-openai` (default) | [`llm::OpenAiProvider`] for every server that speaks OpenAI's chat completions, [`llm::OpenAiResponsesProvider`] for its responses |
//! | `llm-vault` | `llm::VaultSecrets`, for keys that HashiCorp Vault keeps |
//! | `store-cache` | `store::CachedCheckpointStore`, which holds states in memory, and `store::cache` for all else |
//! | `store-encryption` | `store::EncryptedCheckpointStore`, which seals what agents keep |
//! | `store-postgres` | `store::PostgresCheckpointStore`, shared by many instances |
//! | `store-redis` | `store::RedisStates` and `store::cache::RedisCache`, a Redis behind both; `store::RedisRunStreams` |
//! | `store-schedules` | `store::SqliteScheduleStore` and `store::PostgresScheduleStore`: cron, intervals, events |
//! | `transport-nats` | `core::transport::NatsTransport` |
//! | `full` | all of the above |

pub use agentscale_core as core;
pub use agentscale_knowledge as knowledge;
pub use agentscale_llm as llm;
pub use agentscale_runtime as runtime;
pub use agentscale_store as store;

pub use agentscale_runtime::Runtime;

/// What most hosts use.
pub mod prelude {
    pub use agentscale_core::checkpoint::{CheckpointStore, Durability};
    pub use agentscale_core::knowledge::{KnowledgeClient, KnowledgeQuery};
    pub use agentscale_core::llm::{CompletionRequest, LlmProvider, Message};
    pub use agentscale_core::{
        Address, AgentId, AgentMessage, Error, ErrorKind, IdempotencyKey, Priority, Result, Tenant, Topic,
        Transport,
    };
    pub use agentscale_runtime::{Agent, AgentRef, Outcome, Pool, Runtime, Turn};
    pub use agentscale_store::Stores;
    /// The attribute that [`Agent`] and the other traits are implemented with.
    pub use async_trait::async_trait;
}

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The chapter's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../docs/queues-and-schedules.md")]
struct QueuesAndSchedules;
