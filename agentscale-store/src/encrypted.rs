//! Checkpoints that the store behind cannot read.

mod keys;
mod lines;
mod seal;
mod vault;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentscale_core::checkpoint::At;
use agentscale_core::checkpoint::{
    AppendSteps, Attempted, BarrierRequest, Checkpoint, CheckpointCapabilities, CheckpointInfo, Claim,
    ClaimRequest, Commit, Committed, DeadLetter, DeadLetterPage, DeleteRequest, ForkRequest, HistoryRequest,
    LoadRequest, OutboxCursor, OutboxEntry, OutboxPage, PruneRequest, Pruned, RecordedOutcome, ThreadPage,
    ThreadQuery, Version,
};
use agentscale_core::{AgentId, CheckpointStore, Error, IdempotencyKey, MessageId, Result};
use async_trait::async_trait;

pub use keys::{KeyId, StaticTenantKeys, TenantKey, TenantKeys};

use lines::KnownLines;
use seal::Line;
use vault::Vault;

/// Seals what agents keep with a key of their tenant before a store gets it (XChaCha20-Poly1305).
///
/// For stores whose operators, backups or disks are not to know what agents keep. Not for hiding that they keep it.
///
/// **Sealed**: values and appended items of fields, replies, results of journaled steps, messages of the outbox, dead
/// letters with their cause. **Readable**: tenants, types and keys of agents, names of fields, versions, ids, tags,
/// stamps, idempotency keys and the hashes of requests, attempts, how long each value is.
///
/// Each sealed value is bound to its place by its associated data: tenant, type and key of the agent, name of the field or
/// of what else it is, and for fields the version and the place within the commit. Values that change places are
/// `corrupt`, and so are those that are changed or opened with another key under the same id: these cannot be told apart.
/// A key that [`TenantKeys`] does not have is `permission_denied`. What is readable is not protected against who can write
/// to the database; nor is a field, or a thread, against being put back to what it was at an earlier version.
///
/// A message or dead letter that cannot be opened is left out of a listing and [counted](Self::unreadable): a tenant whose
/// keys are gone does not stop the others. It stays in the store.
///
/// Prices: 58 bytes a value, which count against the limits of the store behind; a claim reads the tip once more, so that
/// an owner without the right key takes no epoch; values of the same text are different bytes. A fork cannot start from
/// the first checkpoint of a fork, nor go more than nine forks deep: `unsupported`. A store with unencrypted threads
/// cannot be opened through this type: they are `corrupt`.
///
/// ```
/// use agentscale_core::checkpoint::{ClaimRequest, Commit, CommitId, FieldWrite, LoadRequest, StateHeader};
/// use agentscale_core::{AgentId, CheckpointStore, MessageId, Tenant};
/// use agentscale_store::{
///     EncryptedCheckpointStore, InMemoryCheckpointStore, KeyId, StaticTenantKeys, TenantKey,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// let acme = Tenant::new("acme")?;
/// # let random_bytes = || [7; 32];
/// let keys = StaticTenantKeys::new().with_key(acme.clone(), KeyId(1), TenantKey::new(random_bytes()));
/// let inner = InMemoryCheckpointStore::new();
/// let store = EncryptedCheckpointStore::new(inner.clone(), keys);
///
/// let alice = AgentId::new(&acme, "note", "alice")?;
/// let claim = store.claim(ClaimRequest::new(alice.clone())).await?;
/// let id = CommitId(*MessageId::new(1).as_uuid());
/// let mut commit = Commit::new(id, alice.clone(), claim.epoch, claim.version(), StateHeader::json(1));
/// commit.fields.push(FieldWrite::Replace { name: "plan".into(), value: "a secret".into() });
/// store.commit(commit).await?;
/// let value = async |store: &dyn CheckpointStore| -> agentscale_core::Result<_> {
///     let tip = store.load(LoadRequest::tip(alice.clone())).await?.expect("alice has committed");
///     Ok(tip.fields[0].value.clone().expect("it was replaced"))
/// };
/// assert_eq!(value(&store).await?, "a secret");
/// assert!(!value(&inner).await?.windows(6).any(|bytes| bytes == b"secret"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EncryptedCheckpointStore<S> {
    inner: S,
    keys: Arc<dyn TenantKeys>,
    known: Arc<KnownLines>,
    unreadable: Arc<AtomicU64>,
}

impl<S: CheckpointStore> EncryptedCheckpointStore<S> {
    /// Seals what `inner` gets.
    pub fn new(inner: S, keys: impl TenantKeys) -> Self {
        Self { inner, keys: Arc::new(keys), known: Arc::default(), unreadable: Arc::default() }
    }

    /// The store behind.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// How often a message or dead letter was left out of a listing because it could not be opened.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    fn vault<'a>(&'a self, thread: &'a AgentId) -> Vault<'a> {
        Vault::new(self.keys.as_ref(), &thread.tenant)
    }

    async fn open(&self, checkpoint: &mut Checkpoint) -> Result<Vec<Line>> {
        let thread = checkpoint.info.thread.clone();
        let opened = self.vault(&thread).open_checkpoint(checkpoint).await;
        opened.map_err(|error| error.with_context("thread", &thread))
    }

    /// A checkpoint as it is stored, without its state.
    async fn info(&self, thread: &AgentId, at: At) -> Result<Option<CheckpointInfo>> {
        let newest = HistoryRequest::new(thread.clone(), 1);
        let (question, wanted) = match at {
            At::Version(version) => (newest.before(Version(version.0.saturating_add(1))), Some(version)),
            _ => (newest, None),
        };
        let found = self.inner.history(question).await?.pop();
        Ok(found.filter(|info| wanted.is_none_or(|version| version == info.version)))
    }

    /// The threads through which the thread of a commit was forked.
    async fn through(&self, commit: &Commit) -> Result<Vec<Line>> {
        if commit.expected == Version(0) {
            return Ok(Vec::new());
        }
        if let Some(known) = self.known.of(&commit.thread, commit.epoch) {
            return Ok(known);
        }
        match self.info(&commit.thread, At::Version(commit.expected)).await? {
            Some(mut info) => lines::unwrap(&mut info),
            // There is nothing to commit behind, which the store will say.
            None => Ok(Vec::new()),
        }
    }

    fn left_out(&self, what: &'static str, from: &AgentId, id: MessageId, error: &Error) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, thread = %from, message = %id, "cannot decrypt {what}");
    }

    async fn open_entries(&self, entries: Vec<OutboxEntry>) -> Vec<OutboxEntry> {
        let mut opened = Vec::with_capacity(entries.len());
        for mut entry in entries {
            let from = entry.from.clone();
            match self.vault(&from).open_entry(&mut entry).await {
                Ok(()) => opened.push(entry),
                Err(error) => self.left_out("message", &from, entry.message.id, &error),
            }
        }
        opened
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CheckpointStore> CheckpointStore for EncryptedCheckpointStore<S> {
    fn capabilities(&self) -> CheckpointCapabilities {
        self.inner.capabilities()
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        let thread = request.thread.clone();
        // Read first: whoever cannot open the tip does not take the epoch.
        let before = self.load(LoadRequest::tip(thread.clone())).await?;
        if before.is_none() {
            self.keys.current(&thread.tenant).await?;
        }
        let mut claim = self.inner.claim(request).await?;
        match &mut claim.tip {
            Some(tip) => {
                let through = self.open(tip).await?;
                self.known.learn(thread.clone(), claim.epoch, through);
            }
            None => self.known.forget(&thread),
        }
        self.vault(&thread).open_steps(&thread, &mut claim.steps).await?;
        Ok(claim)
    }

    async fn commit(&self, mut commit: Commit) -> Result<Committed> {
        let (thread, owner) = (commit.thread.clone(), commit.epoch);
        let through = self.through(&commit).await?;
        self.vault(&thread).seal_commit(&mut commit, &through).await?;
        let committed = self.inner.commit(commit).await;
        match committed {
            Ok(_) => self.known.learn(thread, owner, through),
            Err(_) => self.known.forget(&thread),
        }
        committed
    }

    async fn barrier(&self, request: BarrierRequest) -> Result<()> {
        self.inner.barrier(request).await
    }

    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        let mut loaded = self.inner.load(request).await?;
        if let Some(checkpoint) = &mut loaded {
            self.open(checkpoint).await?;
        }
        Ok(loaded)
    }

    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>> {
        let mut outcome = self.inner.outcome(thread, key).await?;
        if let Some(outcome) = &mut outcome {
            self.vault(thread).open_outcome(thread, outcome).await?;
        }
        Ok(outcome)
    }

    async fn append_steps(&self, mut steps: AppendSteps) -> Result<()> {
        self.vault(&steps.thread).seal_steps(&steps.thread, &steps.turn, &mut steps.steps).await?;
        self.inner.append_steps(steps).await
    }

    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
        let page = self.inner.pending_outbox(after, limit).await?;
        Ok(OutboxPage::new(self.open_entries(page.entries).await, page.next))
    }

    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
        self.inner.settle_outbox(ids).await
    }

    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
        self.inner.record_attempt(id).await
    }

    async fn bury(&self, mut letter: DeadLetter) -> Result<()> {
        let from = letter.from.clone();
        self.vault(&from).seal_letter(&mut letter).await?;
        self.inner.bury(letter).await
    }

    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        let page = self.inner.dead_letters(after, limit).await?;
        let mut letters = Vec::with_capacity(page.letters.len());
        for mut letter in page.letters {
            let from = letter.from.clone();
            match self.vault(&from).open_letter(&mut letter).await {
                Ok(()) => letters.push(letter),
                Err(error) => self.left_out("dead letter", &from, letter.message.id, &error),
            }
        }
        Ok(DeadLetterPage::new(letters, page.next))
    }

    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
        let entries = self.inner.redrive(ids).await?;
        Ok(self.open_entries(entries).await)
    }

    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
        let mut infos = self.inner.history(request).await?;
        for info in &mut infos {
            lines::unwrap(info)?;
        }
        Ok(infos)
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        self.inner.threads(query).await
    }

    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
        if let Some(source) = self.info(&request.from, request.at).await? {
            lines::check_fork(source)?;
        }
        self.known.forget(&request.to);
        let mut info = self.inner.fork(request).await?;
        lines::unwrap(&mut info)?;
        Ok(info)
    }

    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        self.inner.prune(request).await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<()> {
        self.known.forget(&request.thread);
        self.inner.delete(request).await
    }
}
