//! Durable state of agents: threads of checkpoints, fenced by epochs.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{AgentId, IdempotencyKey, MessageId, Result};

mod commit;
mod outbox;
mod read;
mod retention;
mod set;
mod state;
mod upcast;

pub use commit::{
    AppendSteps, BarrierRequest, Claim, ClaimRequest, Commit, CommitId, Committed, DeleteRequest, Durability,
    Epoch, ForkRequest, RecordedOutcome, Step, TurnId, Version,
};
pub use outbox::{
    Attempted, DeadLetter, DeadLetterPage, OutboxCursor, OutboxEntry, OutboxMessage, OutboxPage,
};
pub use read::{
    At, Checkpoint, CheckpointInfo, CheckpointOrigin, HistoryRequest, LoadRequest, ThreadCursor, ThreadInfo,
    ThreadPage, ThreadQuery,
};
pub use retention::{PruneRequest, Pruned, RetentionPolicy};
pub use set::StoreSet;
pub use state::{Codec, Field, FieldWrite, StateHeader, StateLimits};
pub use upcast::{Upcaster, Upcasters};

/// What a [`CheckpointStore`] can do beyond its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointCapabilities {
    /// The strongest level that a commit can reach.
    pub strongest: Durability,
    /// Whether several processes may share the store.
    pub multi_process: bool,
    /// Limits in bytes.
    pub limits: StateLimits,
}

impl CheckpointCapabilities {
    /// Capabilities with the default limits.
    pub fn new(strongest: Durability, multi_process: bool) -> Self {
        Self { strongest, multi_process, limits: StateLimits::default() }
    }
}

/// Keeps what agents must not lose.
///
/// A **thread** is the line of checkpoints of one agent. Its owner takes an [`Epoch`] by
/// [`claim`](Self::claim) and shows it with every write; the store compares it within the transaction
/// of that write. A newer claim makes every older epoch worthless for ever, so an owner that was
/// frozen and thawed gets `fenced` and changes nothing. A deleted thread keeps its epoch.
///
/// # For callers
/// A commit whose answer was lost is repeated with the same [`CommitId`]: the answer is then the one
/// that was lost. A `fenced` owner stops; an owner that gets `conflict` loads again.
///
/// # For implementors
/// Each operation is atomic. The promises are the named tests of the conformance suite (feature
/// `conformance`). Bytes that cannot be understood are `corrupt`, never an absent value; a state over
/// [`StateLimits`] is `too_large` and nothing of it is written.
///
/// # Cancel safety
/// A dropped future leaves the operation done or not done, never half done.
#[async_trait]
pub trait CheckpointStore: Debug + Send + Sync + 'static {
    /// What this store can do.
    fn capabilities(&self) -> CheckpointCapabilities;

    /// Takes the next epoch of a thread, which need not exist yet, and loads its tip and the journal
    /// of the turns that have not committed.
    ///
    /// # Errors
    /// `corrupt` for a tip that cannot be read; the epoch is not taken then.
    async fn claim(&self, request: ClaimRequest) -> Result<Claim>;

    /// Writes one turn: fields, outbox, outcome, and the settlement of the message that it handled;
    /// the journal of the turn goes in the same transaction.
    ///
    /// # Errors
    /// `fenced` when a newer epoch was claimed; `conflict` when the tip is not at the expected version,
    /// the message that it settles does not stand in the outbox any more, or the idempotency key is recorded with
    /// another request; `too_large` over a limit;
    /// `unsupported` for a level that the store cannot reach.
    async fn commit(&self, commit: Commit) -> Result<Committed>;

    /// Waits until what was acknowledged at [`Durability::Local`] stands in the store that others share. Returns at once
    /// for commits of every other level, and by default: a store that has no log of its own acknowledges nothing at that
    /// level.
    ///
    /// What a commit sends and answers leaves after it. It waits for as long as the shared store cannot be reached.
    ///
    /// # Errors
    /// `fenced` for a commit that was left behind: another owner took the thread over before it got there, and it never
    /// will.
    async fn barrier(&self, _request: BarrierRequest) -> Result<()> {
        Ok(())
    }

    /// Reads a checkpoint; `None` where the thread or that version does not exist.
    ///
    /// # Errors
    /// `corrupt` for bytes that cannot be understood.
    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>>;

    /// The recorded result of a request, while its retention lasts.
    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>>;

    /// Appends finished steps to the journal of a turn. Repeating a step changes nothing.
    ///
    /// # Errors
    /// `fenced` when a newer epoch was claimed; `conflict` for a recorded index with another request hash.
    async fn append_steps(&self, steps: AppendSteps) -> Result<()>;

    /// Messages that were committed and not settled, oldest first, of all threads.
    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage>;

    /// Forgets messages that their receivers have taken. Unknown ids are passed over.
    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()>;

    /// Counts one attempt of an outbox message durably; the answer says how many there were,
    /// this one included, or `None` where the message is not in the outbox.
    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>>;

    /// Keeps a message that could not be handled, and takes it from the outbox in the same transaction. One that
    /// is buried [only if pending](DeadLetter::only_if_pending), and is not, is passed over.
    async fn bury(&self, letter: DeadLetter) -> Result<()>;

    /// Dead letters, oldest first.
    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage>;

    /// Puts dead letters back into the outbox with no attempts counted, and gives them.
    /// Unknown ids are passed over.
    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>>;

    /// Checkpoints of a thread, newest first.
    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>>;

    /// Threads by tenant and type, in the order of their names. Loads no state.
    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage>;

    /// Starts a thread from a checkpoint of another one of the same tenant.
    ///
    /// # Errors
    /// `not_found` for a source that does not exist; `already_exists` for a target with a checkpoint;
    /// `permission_denied` across tenants.
    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo>;

    /// Forgets checkpoints and outcomes by policy, in small transactions. The tip always stays.
    async fn prune(&self, request: PruneRequest) -> Result<Pruned>;

    /// Deletes a thread with all that it holds; the tombstone keeps its epoch.
    ///
    /// # Errors
    /// `fenced` when a newer epoch was claimed.
    async fn delete(&self, request: DeleteRequest) -> Result<()>;
}

macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: CheckpointStore + ?Sized> CheckpointStore for $pointer<T> {
            fn capabilities(&self) -> CheckpointCapabilities {
                (**self).capabilities()
            }
            async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
                (**self).claim(request).await
            }
            async fn commit(&self, commit: Commit) -> Result<Committed> {
                (**self).commit(commit).await
            }
            async fn barrier(&self, request: BarrierRequest) -> Result<()> {
                (**self).barrier(request).await
            }
            async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
                (**self).load(request).await
            }
            async fn outcome(
                &self,
                thread: &AgentId,
                key: &IdempotencyKey,
            ) -> Result<Option<RecordedOutcome>> {
                (**self).outcome(thread, key).await
            }
            async fn append_steps(&self, steps: AppendSteps) -> Result<()> {
                (**self).append_steps(steps).await
            }
            async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
                (**self).pending_outbox(after, limit).await
            }
            async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
                (**self).settle_outbox(ids).await
            }
            async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
                (**self).record_attempt(id).await
            }
            async fn bury(&self, letter: DeadLetter) -> Result<()> {
                (**self).bury(letter).await
            }
            async fn dead_letters(
                &self,
                after: Option<OutboxCursor>,
                limit: usize,
            ) -> Result<DeadLetterPage> {
                (**self).dead_letters(after, limit).await
            }
            async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
                (**self).redrive(ids).await
            }
            async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
                (**self).history(request).await
            }
            async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
                (**self).threads(query).await
            }
            async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
                (**self).fork(request).await
            }
            async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
                (**self).prune(request).await
            }
            async fn delete(&self, request: DeleteRequest) -> Result<()> {
                (**self).delete(request).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
