use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TagKind;

/// The seven types of data of the row *Cache use cases* (P10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CachedType {
    /// What an agent is: `agent_definitions`.
    AgentDefinitions,
    /// What a tool takes: `tool_schemas`.
    ToolSchemas,
    /// States of agents: `checkpoints`.
    Checkpoints,
    /// Answers of models: `llm_responses`.
    LlmResponses,
    /// Vectors of memories: `memory_embeddings`.
    MemoryEmbeddings,
    /// Who is logged in: `sessions`.
    Sessions,
    /// What counts against a limit: `rate_counters`.
    RateCounters,
}

/// When an entry is void before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalidation {
    /// When the thing of this kind that has the key's name changes, or another that the entry used.
    OnChange(TagKind),
    /// When a thing that the entry used changes; the key itself says what else it was made of.
    ByKey,
    /// Never: it counts what happened within a time that moves on.
    ByWindow,
}

/// For how long each layer holds one type of data; a layer without a time does not hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CachePolicy {
    /// In the memory of the process.
    pub in_process: Option<Duration>,
    /// In Redis. Where none is given, memory holds it that long in its place, unless `in_process` says otherwise.
    pub shared: Option<Duration>,
    /// At the edge, by the headers of [`CacheControl`](super::CacheControl).
    pub edge: Option<Duration>,
}

impl CachePolicy {
    /// Held nowhere.
    pub const fn new() -> Self {
        Self { in_process: None, shared: None, edge: None }
    }

    /// Sets how long memory holds it.
    #[must_use]
    pub const fn with_in_process(mut self, ttl: Duration) -> Self {
        self.in_process = Some(ttl);
        self
    }

    /// Sets how long Redis holds it.
    #[must_use]
    pub const fn with_shared(mut self, ttl: Duration) -> Self {
        self.shared = Some(ttl);
        self
    }

    /// Sets how long an edge may hold it.
    #[must_use]
    pub const fn with_edge(mut self, ttl: Duration) -> Self {
        self.edge = Some(ttl);
        self
    }
}

/// One policy for each type of data. The defaults are the table of the row *Cache use cases* (P10): its time is that of
/// the outermost layer which it names, and nearer layers hold an entry no longer than their own range allows, five minutes
/// in process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CachePolicies {
    /// L1 and L2, 5 min, on update. Default: 5 min in process, 5 min shared.
    pub agent_definitions: CachePolicy,
    /// L1 and L3, 1 hour, on registration. Default: 5 min in process, 1 h at the edge.
    pub tool_schemas: CachePolicy,
    /// L2, 30 min, on a new checkpoint. Default: 30 min shared. States themselves are held by
    /// [`CachedCheckpointStore`](crate::CachedCheckpointStore), under names that never change their meaning.
    pub checkpoints: CachePolicy,
    /// L2, 10 min, by a semantic key. Default: 10 min shared.
    pub llm_responses: CachePolicy,
    /// L2, 1 hour, on a memory's update. Default: 1 h shared.
    pub memory_embeddings: CachePolicy,
    /// L2, 30 min, on logout. Default: 30 min shared.
    pub sessions: CachePolicy,
    /// L2, 1 min, a sliding window. Default: 1 min shared.
    pub rate_counters: CachePolicy,
}

impl Default for CachePolicies {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        let shared = |minutes: u32| CachePolicy::new().with_shared(MINUTE * minutes);
        let near = CachePolicy::new().with_in_process(MINUTE * 5);
        Self {
            agent_definitions: near.with_shared(MINUTE * 5),
            tool_schemas: near.with_edge(MINUTE * 60),
            checkpoints: shared(30),
            llm_responses: shared(10),
            memory_embeddings: shared(60),
            sessions: shared(30),
            rate_counters: shared(1),
        }
    }
}

impl CachePolicies {
    /// The policy of a type.
    pub fn of(&self, cached: CachedType) -> CachePolicy {
        match cached {
            CachedType::AgentDefinitions => self.agent_definitions,
            CachedType::ToolSchemas => self.tool_schemas,
            CachedType::Checkpoints => self.checkpoints,
            CachedType::LlmResponses => self.llm_responses,
            CachedType::MemoryEmbeddings => self.memory_embeddings,
            CachedType::Sessions => self.sessions,
            CachedType::RateCounters => self.rate_counters,
        }
    }
}

impl CachedType {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::AgentDefinitions,
        Self::ToolSchemas,
        Self::Checkpoints,
        Self::LlmResponses,
        Self::MemoryEmbeddings,
        Self::Sessions,
        Self::RateCounters,
    ];

    /// Its name in Redis, in metrics and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::AgentDefinitions => "agent_definitions",
            Self::ToolSchemas => "tool_schemas",
            Self::Checkpoints => "checkpoints",
            Self::LlmResponses => "llm_responses",
            Self::MemoryEmbeddings => "memory_embeddings",
            Self::Sessions => "sessions",
            Self::RateCounters => "rate_counters",
        }
    }

    /// When its entries are void before their time.
    pub fn invalidation(self) -> Invalidation {
        match self {
            Self::AgentDefinitions => Invalidation::OnChange(TagKind::Definition),
            Self::ToolSchemas => Invalidation::OnChange(TagKind::Tool),
            // A new checkpoint has a new key.
            Self::Checkpoints | Self::LlmResponses => Invalidation::ByKey,
            Self::MemoryEmbeddings => Invalidation::OnChange(TagKind::Memory),
            Self::Sessions => Invalidation::OnChange(TagKind::Session),
            Self::RateCounters => Invalidation::ByWindow,
        }
    }
}
