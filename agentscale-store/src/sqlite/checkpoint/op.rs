use agentscale_core::checkpoint::{
    AppendSteps, Attempted, CheckpointInfo, Commit, Committed, DeadLetter, DeleteRequest, Durability, Epoch,
    ForkRequest, OutboxEntry, Version,
};
use agentscale_core::{AgentId, Error, ErrorKind, MessageId};

use crate::checkpoint::answer::Answer;

/// An operation for the writer.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) request: Request,
    pub(super) answer: Answer<Reply>,
}

#[derive(Debug)]
pub(super) enum Request {
    Claim(AgentId),
    Commit(Box<Write>),
    Steps(Box<AppendSteps>),
    Settle(Vec<MessageId>),
    Attempt(MessageId),
    Bury(Box<DeadLetter>),
    Redrive(Vec<MessageId>),
    Fork(Box<ForkRequest>),
    Delete(Box<DeleteRequest>),
    /// The checkpoints of threads, for pruning.
    List(Vec<i64>),
    Remove(Box<Removal>),
    /// Removes outcomes whose retention has ended, of these threads or of all.
    Expire {
        threads: Option<Vec<i64>>,
        most: u32,
    },
    /// Nothing: its answer says that all before it is written.
    Barrier,
}

impl Request {
    pub(super) fn level(&self) -> Durability {
        match self {
            Self::Commit(write) => write.commit.level,
            Self::Steps(steps) => steps.level,
            _ => Durability::Process,
        }
    }
}

/// A commit and its encoded fields.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) commit: Commit,
    pub(super) delta: Vec<u8>,
}

/// Ids of checkpoints that leave, and of those that only others are still built on.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) ghosts: Vec<i64>,
    pub(super) rows: Vec<i64>,
}

#[derive(Debug)]
pub(super) enum Reply {
    Claimed {
        epoch: Epoch,
        version: Version,
        fresh: bool,
    },
    Committed(Committed),
    Done,
    Attempted(Option<Attempted>),
    Redriven(Vec<OutboxEntry>),
    Forked(Box<CheckpointInfo>),
    /// For each thread its checkpoints in JSON.
    Listed(Vec<String>),
    /// How many rows.
    Removed(u64),
}

impl Reply {
    /// An operation that got the answer of another one: a defect of this store.
    pub(super) fn unexpected() -> Error {
        Error::new(ErrorKind::Internal, "read answer of writer")
    }
}
