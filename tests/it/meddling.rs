use std::fmt;
use std::sync::Arc;

use agentscale::core::MessageId;
use agentscale::core::checkpoint::*;
use agentscale::prelude::*;

/// What becomes of one operation of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    /// Refused before it was done.
    Refuse,
    /// Done, and its answer is lost.
    LoseAnswer,
    Hang,
    /// Done, and its answer never comes.
    HangAfter,
    /// Done, a few polls later.
    Linger,
}

type Decide = dyn Fn(&'static str) -> Fate + Send + Sync;

/// A store whose operations meet what `decide` says to their names.
#[derive(Clone)]
pub(crate) struct Meddled {
    inner: Arc<dyn CheckpointStore>,
    decide: Arc<Decide>,
}

impl Meddled {
    pub(crate) fn new(
        inner: Arc<dyn CheckpointStore>,
        decide: impl Fn(&'static str) -> Fate + Send + Sync + 'static,
    ) -> Self {
        Self { inner, decide: Arc::new(decide) }
    }

    async fn meet<T>(&self, name: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        match (self.decide)(name) {
            Fate::Pass => work.await,
            Fate::Refuse => Err(Error::new(ErrorKind::Unavailable, name)),
            Fate::LoseAnswer => {
                work.await?;
                Err(Error::new(ErrorKind::Unavailable, name))
            }
            Fate::Hang => std::future::pending().await,
            Fate::HangAfter => {
                work.await?;
                std::future::pending().await
            }
            Fate::Linger => {
                tokio::task::yield_now().await;
                let done = work.await;
                tokio::task::yield_now().await;
                done
            }
        }
    }
}

impl fmt::Debug for Meddled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

macro_rules! meddle {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl CheckpointStore for Meddled {
            fn capabilities(&self) -> CheckpointCapabilities {
                self.inner.capabilities()
            }
            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                self.meet(stringify!($name), self.inner.$name($($argument),*)).await
            })*
        }
    };
}

meddle! {
    claim(request: ClaimRequest) -> Claim;
    commit(commit: Commit) -> Committed;
    barrier(request: BarrierRequest) -> ();
    load(request: LoadRequest) -> Option<Checkpoint>;
    outcome(thread: &AgentId, key: &IdempotencyKey) -> Option<RecordedOutcome>;
    append_steps(steps: AppendSteps) -> ();
    pending_outbox(after: Option<OutboxCursor>, limit: usize) -> OutboxPage;
    settle_outbox(ids: Vec<MessageId>) -> ();
    record_attempt(id: MessageId) -> Option<Attempted>;
    bury(letter: DeadLetter) -> ();
    dead_letters(after: Option<OutboxCursor>, limit: usize) -> DeadLetterPage;
    redrive(ids: Vec<MessageId>) -> Vec<OutboxEntry>;
    history(request: HistoryRequest) -> Vec<CheckpointInfo>;
    threads(query: ThreadQuery) -> ThreadPage;
    fork(request: ForkRequest) -> CheckpointInfo;
    prune(request: PruneRequest) -> Pruned;
    delete(request: DeleteRequest) -> ();
}
