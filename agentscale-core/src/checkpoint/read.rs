use serde::{Deserialize, Serialize};

use super::{CommitId, Epoch, Field, StateHeader, Version};
use crate::{AgentId, AgentType, Stamp, Tenant};

/// Which checkpoint of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// The newest.
    #[default]
    Tip,
    /// The one at this version.
    Version(Version),
}

/// Asks for a checkpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadRequest {
    /// The thread.
    pub thread: AgentId,
    /// Which one.
    pub at: At,
}

impl LoadRequest {
    /// The newest checkpoint of `thread`.
    pub fn tip(thread: AgentId) -> Self {
        Self { thread, at: At::Tip }
    }

    /// The checkpoint of `thread` at `version`.
    pub fn version(thread: AgentId, version: Version) -> Self {
        Self { thread, at: At::Version(version) }
    }
}

/// A checkpoint with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// All but the state.
    pub info: CheckpointInfo,
    /// The state, by the names of its fields.
    pub fields: Vec<Field>,
}

impl Checkpoint {
    /// A checkpoint.
    pub fn new(info: CheckpointInfo, fields: Vec<Field>) -> Self {
        Self { info, fields }
    }
}

/// A checkpoint without its state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointInfo {
    /// The thread.
    pub thread: AgentId,
    /// Its place in the thread.
    pub version: Version,
    /// The id of its commit.
    pub id: CommitId,
    /// The epoch of its owner.
    pub epoch: Epoch,
    /// How to read the fields.
    pub header: StateHeader,
    /// Names that retention can keep it by.
    pub tags: Vec<String>,
    /// Causal order.
    pub stamp: Stamp,
    /// Where it comes from.
    pub origin: CheckpointOrigin,
}

impl CheckpointInfo {
    /// A checkpoint that a turn committed, without tags.
    pub fn new(
        thread: AgentId,
        version: Version,
        id: CommitId,
        epoch: Epoch,
        header: StateHeader,
        stamp: Stamp,
    ) -> Self {
        Self { thread, version, id, epoch, header, tags: Vec::new(), stamp, origin: CheckpointOrigin::Turn }
    }

    /// Sets the tags.
    #[must_use]
    pub fn with_tags(mut self, tags: Vec<String>) -> Self {
        self.tags = tags;
        self
    }

    /// Sets the origin.
    #[must_use]
    pub fn with_origin(mut self, origin: CheckpointOrigin) -> Self {
        self.origin = origin;
        self
    }
}

/// Where a checkpoint comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckpointOrigin {
    /// A turn; its parent is the version before.
    Turn,
    /// A fork of another thread.
    Fork {
        /// The thread it was forked from.
        from: AgentId,
        /// The version it was forked from.
        version: Version,
    },
}

/// Asks for checkpoints of a thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryRequest {
    /// The thread.
    pub thread: AgentId,
    /// Only versions below this one.
    pub before: Option<Version>,
    /// How many at most.
    pub limit: usize,
}

impl HistoryRequest {
    /// The newest `limit` checkpoints.
    pub fn new(thread: AgentId, limit: usize) -> Self {
        Self { thread, before: None, limit }
    }

    /// Only versions below `before`.
    #[must_use]
    pub fn before(mut self, before: Version) -> Self {
        self.before = Some(before);
        self
    }
}

/// Asks for threads.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ThreadQuery {
    /// Whose.
    pub tenant: Tenant,
    /// Only this type.
    pub agent_type: Option<AgentType>,
    /// Where to go on.
    pub after: Option<ThreadCursor>,
    /// How many at most.
    pub limit: usize,
}

impl ThreadQuery {
    /// The first `limit` threads of a tenant.
    pub fn new(tenant: Tenant, limit: usize) -> Self {
        Self { tenant, agent_type: None, after: None, limit }
    }

    /// Only threads of `agent_type`.
    #[must_use]
    pub fn of_type(mut self, agent_type: AgentType) -> Self {
        self.agent_type = Some(agent_type);
        self
    }

    /// Goes on behind a page.
    #[must_use]
    pub fn after(mut self, cursor: ThreadCursor) -> Self {
        self.after = Some(cursor);
        self
    }
}

/// Where a listing of threads goes on: the last thread of the page before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadCursor(pub AgentId);

/// A thread without its state. Threads that were claimed and never committed are listed at version 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadInfo {
    /// The thread.
    pub thread: AgentId,
    /// The epoch last claimed.
    pub epoch: Epoch,
    /// The version of the tip.
    pub version: Version,
    /// The stamp of the tip.
    pub stamp: Stamp,
}

impl ThreadInfo {
    /// A thread.
    pub fn new(thread: AgentId, epoch: Epoch, version: Version, stamp: Stamp) -> Self {
        Self { thread, epoch, version, stamp }
    }
}

/// Some threads.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ThreadPage {
    /// The threads, by type and key.
    pub threads: Vec<ThreadInfo>,
    /// Where to go on; `None` behind the last one.
    pub next: Option<ThreadCursor>,
}

impl ThreadPage {
    /// A page.
    pub fn new(threads: Vec<ThreadInfo>, next: Option<ThreadCursor>) -> Self {
        Self { threads, next }
    }
}
