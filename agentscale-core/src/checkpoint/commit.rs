use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{At, Checkpoint, FieldWrite, OutboxMessage, StateHeader};
use crate::{AgentId, IdempotencyKey, MessageId, Stamp};

/// The fencing token of a thread: monotonic for ever, through delete, restore and promotion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Raised by a restore or a promotion of the store.
    pub incarnation: u32,
    /// Raised by each claim.
    pub counter: u64,
}

/// The position of a checkpoint in its thread; the first one is 1, and 0 stands before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

/// Chosen by the caller of a commit; the committed checkpoint carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommitId(pub Uuid);

/// Names a turn across its repetitions: the idempotency key of its message, else the message's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TurnId(pub String);

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a write has survived when it is acknowledged, weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Nothing is kept: no claim, no commit, no record of results. No store is asked.
    Volatile,
    /// Queued. A crash loses at most what the store's queue holds, a bound that the store states.
    Buffered,
    /// In a log of this machine, synced to its device, while the store that others share gets it later. Survives what
    /// [`Disk`](Self::Disk) survives, as long as this machine comes back before another one takes the thread over: what
    /// that one does not find is left behind, and reported. Outbox and reply wait for
    /// [`CheckpointStore::barrier`](super::CheckpointStore::barrier). A store without such a log reaches a stronger
    /// level.
    Local,
    /// Survives the death of the process, kill -9 included.
    #[default]
    Process,
    /// Synced to the device: survives the loss of power, as far as the device tells the truth.
    Disk,
}

/// Asks for the next epoch of a thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// The thread.
    pub thread: AgentId,
}

impl ClaimRequest {
    /// A claim of `thread`.
    pub fn new(thread: AgentId) -> Self {
        Self { thread }
    }
}

/// A claimed thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// To be shown with every write.
    pub epoch: Epoch,
    /// The newest checkpoint; `None` for a new or deleted thread.
    pub tip: Option<Checkpoint>,
    /// Journaled steps of turns that have not committed, by turn, in the order of their index.
    pub steps: Vec<(TurnId, Vec<Step>)>,
}

impl Claim {
    /// A claim without journaled steps.
    pub fn new(epoch: Epoch, tip: Option<Checkpoint>) -> Self {
        Self { epoch, tip, steps: Vec::new() }
    }

    /// Adds journaled steps.
    #[must_use]
    pub fn with_steps(mut self, steps: Vec<(TurnId, Vec<Step>)>) -> Self {
        self.steps = steps;
        self
    }

    /// The version of the tip, 0 where there is none.
    pub fn version(&self) -> Version {
        self.tip.as_ref().map_or(Version(0), |tip| tip.info.version)
    }
}

/// One turn, to be written as a whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Commit {
    /// Chosen by the caller, the same when the commit is repeated.
    pub id: CommitId,
    /// The thread.
    pub thread: AgentId,
    /// The epoch of the claim.
    pub epoch: Epoch,
    /// The version of the tip that this commit follows.
    pub expected: Version,
    /// The level to reach before the answer.
    pub level: Durability,
    /// How the fields are encoded.
    pub header: StateHeader,
    /// What changes; fields that are not named stay.
    pub fields: Vec<FieldWrite>,
    /// Messages that may leave once this is committed.
    pub outbox: Vec<OutboxMessage>,
    /// The result of the request that this turn answered.
    pub outcome: Option<RecordedOutcome>,
    /// The handled message, if it came from the outbox of this store. Where it does not stand there any more,
    /// another turn has handled it, and the commit is refused as a `conflict`.
    pub settles: Option<MessageId>,
    /// The turn whose journal ends with this commit.
    pub turn: Option<TurnId>,
    /// Names that retention can keep a checkpoint by.
    pub tags: Vec<String>,
    /// Causal order.
    pub stamp: Stamp,
}

impl Commit {
    /// A commit that changes nothing but the version.
    pub fn new(id: CommitId, thread: AgentId, epoch: Epoch, expected: Version, header: StateHeader) -> Self {
        Self {
            id,
            thread,
            epoch,
            expected,
            level: Durability::default(),
            header,
            fields: Vec::new(),
            outbox: Vec::new(),
            outcome: None,
            settles: None,
            turn: None,
            tags: Vec::new(),
            stamp: Stamp::default(),
        }
    }
}

/// The answer to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// The version of the new tip.
    pub version: Version,
    /// The level reached: the one asked for, or a stronger one.
    pub level: Durability,
}

impl Committed {
    /// A commit at `version` that reached `level`.
    pub fn new(version: Version, level: Durability) -> Self {
        Self { version, level }
    }
}

/// Names a commit that was acknowledged, whose way out of the machine somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BarrierRequest {
    /// The thread.
    pub thread: AgentId,
    /// The epoch of the commit.
    pub epoch: Epoch,
    /// The version that it was acknowledged at; all before it are meant too.
    pub version: Version,
}

impl BarrierRequest {
    /// Waits for the commit of `thread` at `version`, and for all before it.
    pub fn new(thread: AgentId, epoch: Epoch, version: Version) -> Self {
        Self { thread, epoch, version }
    }
}

/// The result of a request, kept so that a repetition gets it again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedOutcome {
    /// The key of the request.
    pub key: IdempotencyKey,
    /// A hash of what was asked; the same key with another hash is a conflict.
    pub request_hash: [u8; 32],
    /// The encoded reply; `None` for a turn that answers nothing.
    pub reply: Option<Bytes>,
    /// How long the record is kept.
    pub retention: Duration,
}

impl RecordedOutcome {
    /// How long a result is kept unless said otherwise: 24 hours.
    pub const DEFAULT_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

    /// An outcome with the default retention.
    pub fn new(key: IdempotencyKey, request_hash: [u8; 32], reply: Option<Bytes>) -> Self {
        Self { key, request_hash, reply, retention: Self::DEFAULT_RETENTION }
    }
}

/// A finished step of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number within the turn, from 0 in the order in which steps were begun.
    pub index: u32,
    /// A hash of what was asked, so that changed code is noticed at replay.
    pub request_hash: [u8; 32],
    /// The encoded result.
    pub result: Bytes,
}

/// Finished steps, to be journaled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppendSteps {
    /// The thread.
    pub thread: AgentId,
    /// The epoch of the claim.
    pub epoch: Epoch,
    /// The turn.
    pub turn: TurnId,
    /// The steps.
    pub steps: Vec<Step>,
    /// The level to reach before the answer.
    pub level: Durability,
}

impl AppendSteps {
    /// Steps at the default level.
    pub fn new(thread: AgentId, epoch: Epoch, turn: TurnId, steps: Vec<Step>) -> Self {
        Self { thread, epoch, turn, steps, level: Durability::default() }
    }
}

/// Asks for a new thread that starts from a checkpoint of another one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForkRequest {
    /// The thread to start from.
    pub from: AgentId,
    /// Where to start from.
    pub at: At,
    /// The new thread, of the same tenant.
    pub to: AgentId,
}

impl ForkRequest {
    /// A fork from the tip.
    pub fn new(from: AgentId, to: AgentId) -> Self {
        Self { from, at: At::Tip, to }
    }

    /// A fork from an older checkpoint.
    #[must_use]
    pub fn at(mut self, at: At) -> Self {
        self.at = at;
        self
    }
}

/// Asks for the deletion of a thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeleteRequest {
    /// The thread.
    pub thread: AgentId,
    /// The epoch of the claim.
    pub epoch: Epoch,
}

impl DeleteRequest {
    /// A deletion under `epoch`.
    pub fn new(thread: AgentId, epoch: Epoch) -> Self {
        Self { thread, epoch }
    }
}
