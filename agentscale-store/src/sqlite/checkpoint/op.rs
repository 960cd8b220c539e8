use agentscale_core::checkpoint::{
    AppendSteps, Attempted, CheckpointInfo, Commit, Committed, DeadLetter, DeleteRequest, Durability, Epoch,
    ForkRequest, OutboxEntry, Pruned, RetentionPolicy, Version,
};
use agentscale_core::{AgentId, Error, ErrorKind, MessageId, Result};
use tokio::sync::oneshot;

use super::buffered::Receipt;

/// An operation for the writer.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) request: Request,
    pub(super) answer: Answer,
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
    Prune(Box<PruneThreads>),
    /// Removes a part of the outcomes whose retention has ended.
    Expire,
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

/// Prunes a few threads in one go.
#[derive(Debug)]
pub(super) struct PruneThreads {
    pub(super) threads: Vec<i64>,
    pub(super) policy: RetentionPolicy,
    pub(super) limit: u64,
}

#[derive(Debug)]
pub(super) enum Reply {
    Claimed { epoch: Epoch, version: Version, fresh: bool },
    Committed(Committed),
    Done,
    Attempted(Option<Attempted>),
    Redriven(Vec<OutboxEntry>),
    Forked(Box<CheckpointInfo>),
    Pruned(Pruned),
}

impl Reply {
    /// An operation that got the answer of another one: a defect of this store.
    pub(super) fn unexpected() -> Error {
        Error::new(ErrorKind::Internal, "read answer of writer")
    }
}

/// Where an answer goes.
#[derive(Debug)]
pub(super) enum Answer {
    Caller(oneshot::Sender<Result<Reply>>),
    /// The caller was answered when its commit was queued.
    Buffered(Receipt),
}

impl Answer {
    pub(super) fn give(self, result: Result<Reply>) {
        match self {
            // A caller that went away needs no answer.
            Self::Caller(sender) => drop(sender.send(result)),
            Self::Buffered(receipt) => receipt.written(result.err()),
        }
    }
}
