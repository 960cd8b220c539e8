use agentscale_core::checkpoint::{AppendSteps, Commit, Committed};
use agentscale_core::{AgentId, Error, ErrorKind};
use uuid::Uuid;

use crate::checkpoint::answer::Answer;
use crate::checkpoint::names::Names;

/// An operation for a writer.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) work: Work,
    pub(super) answer: Answer<Reply>,
}

#[derive(Debug)]
pub(super) enum Work {
    Commit(Box<Write>),
    Steps(Box<AppendSteps>),
    /// Nothing: its answer says that all before it is written.
    Barrier,
}

impl Work {
    pub(super) fn thread(&self) -> Option<&AgentId> {
        match self {
            Self::Commit(write) => Some(&write.commit.thread),
            Self::Steps(steps) => Some(&steps.thread),
            Self::Barrier => None,
        }
    }
}

/// A commit and its encoded fields.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) commit: Commit,
    pub(super) delta: Vec<u8>,
    pub(super) shape: Shape,
    /// The names of the state's fields after this commit, where it stands behind that tip.
    pub(super) names: Names,
    pub(super) behind: Option<Uuid>,
    /// What is written now by the clock of the store.
    pub(super) now: u64,
}

/// What a delta is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// What the commit writes.
    Change,
    /// The same, which leaves nothing of the state of this tip.
    Whole { after: Uuid },
    /// The state of this tip, with what the commit writes.
    Folded { after: Option<Uuid> },
}

#[derive(Debug)]
pub(super) enum Reply {
    Committed(Committed),
    Done,
}

impl Reply {
    /// An operation that got the answer of another one: a defect of this store.
    pub(super) fn unexpected() -> Error {
        Error::new(ErrorKind::Internal, "read answer of writer")
    }
}

/// What the statement of a batch says of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Written {
        thread: i64,
        /// What was the tip until then.
        behind: Option<Uuid>,
    },
    Fenced,
    /// The tip is at another version, of this commit.
    Moved {
        version: u64,
        tip: Option<Uuid>,
    },
    /// An idempotency key or a step that is recorded for another request.
    OtherRequest {
        step: Option<u32>,
    },
    /// The handled message is gone.
    Settled,
    /// Another connection holds what is needed.
    Locked,
    /// The tip is another commit than was thought.
    Stale,
    /// The chain of deltas is too long: the whole state is wanted.
    Long,
}
