use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::keeper::Keeper;
use super::line::{Lines, at_limit};
use super::{Slot, SlotConfig, SlotKey, SlotStore};
use crate::{Error, ErrorKind, Result};

pub(super) type Reply = oneshot::Sender<Result<Slot>>;

/// The slots of accounts, as one instance takes them. Clones share them.
///
/// Runs of an account wait in one line, in the order in which they came; between instances the store gives turns. One task
/// speaks with the store for all, an exchange for what came together. Nothing is kept that nobody uses: each slot goes
/// back to the store before another run gets it, so that no instance starves the others.
///
/// [`close`](Self::close) gives all slots back; so does dropping the last clone, in the background.
///
/// ```
/// # use std::sync::Arc;
/// # use agentscale_core::slots::{AccountSlots, SlotConfig, SlotKey, SlotRequest, SlotStore, Tiers};
/// # use agentscale_core::{Account, Result, Tenant};
/// async fn serve(store: Arc<dyn SlotStore>) -> Result<()> {
///     let (tiers, slots) = (Tiers::default(), AccountSlots::start(store, SlotConfig::default())?);
///     let alice = SlotKey::new(Tenant::new("acme")?, Some(Account::new("alice")?));
///     let slot = slots.take(SlotRequest::new(alice, tiers.slots("free")?)).await?;
///     tokio::select! {
///         error = slot.lost() => return Err(error),
///         () = run() => {}
///     }
///     drop(slot);
///     slots.close().await
/// }
/// # async fn run() {}
/// ```
#[derive(Clone, Debug)]
pub struct AccountSlots {
    shared: Arc<Shared>,
    task: Arc<Task>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: SlotConfig,
    lines: Mutex<Lines<Reply>>,
    pub(super) wake: Notify,
    /// Why the last exchange failed, if it did.
    pub(super) failed: Mutex<Option<Error>>,
}

#[derive(Debug)]
struct Task {
    /// That it is gone tells the task to end.
    ending: Mutex<Option<oneshot::Sender<()>>>,
    task: Mutex<Option<JoinHandle<Result<()>>>>,
}

/// Asks for a slot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlotRequest {
    /// Whose.
    pub key: SlotKey,
    /// How many there are; holds for all of the account from now on.
    pub limit: u32,
    /// How long to wait for it; `None` for as long as [`SlotConfig::max_wait`] says.
    pub wait: Option<Duration>,
}

impl SlotRequest {
    /// One of `limit` slots.
    pub fn new(key: SlotKey, limit: u32) -> Self {
        Self { key, limit, wait: None }
    }

    /// Waits no longer than this. With zero the first answer of the store counts.
    #[must_use]
    pub fn within(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }
}

impl AccountSlots {
    /// Starts the task. It joins the store when the first slot is asked for.
    ///
    /// # Errors
    /// `invalid_input` with the name of the field for a configuration that cannot work.
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    pub fn start(store: Arc<dyn SlotStore>, config: SlotConfig) -> Result<Self> {
        config.check()?;
        let shared = Arc::new(Shared {
            config,
            lines: Mutex::new(Lines::new()),
            wake: Notify::new(),
            failed: Mutex::default(),
        });
        let (ending, ended) = oneshot::channel();
        let task = tokio::spawn(Keeper::new(store, Arc::clone(&shared)).run(ended));
        let task = Task { ending: Mutex::new(Some(ending)), task: Mutex::new(Some(task)) };
        Ok(Self { shared, task: Arc::new(task) })
    }

    /// Takes a slot, and waits for one while there is none.
    ///
    /// # Errors
    /// `quota_exceeded` where none came free in time, to be tried again later unless the limit is zero; `overloaded` where too
    /// many wait; `unavailable` where the store does not answer; `cancelled` behind [`close`](Self::close).
    ///
    /// # Cancel safety
    /// A dropped future leaves the line, and gives back what it got.
    pub async fn take(&self, request: SlotRequest) -> Result<Slot> {
        let SlotRequest { key, limit, wait } = request;
        if limit == 0 {
            return Err(at_limit(&key, 0));
        }
        let wait = wait.unwrap_or(self.shared.config.max_wait);
        let (reply, answer) = oneshot::channel();
        let number = self.shared.lines().enter(&key, limit, wait.is_zero(), reply, &self.shared.config)?;
        let place = Place { shared: &self.shared, key: &key, number };
        self.shared.wake.notify_one();
        if self.is_closed() {
            // The task looks at the line for the last time when it ends: this run may have come behind that.
            return Err(closed());
        }
        let wait = if wait.is_zero() { self.shared.config.ttl } else { wait };
        let answer = timeout(wait, answer).await;
        drop(place);
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(match self.shared.failed().clone() {
                Some(error) => unavailable(error),
                None => at_limit(&key, limit),
            }),
        }
    }

    /// Gives all slots back and waits until the store knows. Those in use are lost, who waits is refused.
    ///
    /// # Errors
    /// Those of [`SlotStore::leave`].
    pub async fn close(&self) -> Result<()> {
        drop(lock(&self.task.ending).take());
        let task = lock(&self.task.task).take();
        match task {
            Some(task) => task
                .await
                .map_err(|error| Error::new(ErrorKind::Internal, "close slots").with_source(error))?,
            None => Ok(()),
        }
    }

    fn is_closed(&self) -> bool {
        lock(&self.task.ending).is_none()
    }
}

impl Shared {
    pub(super) fn lines(&self) -> MutexGuard<'_, Lines<Reply>> {
        lock(&self.lines)
    }

    pub(super) fn failed(&self) -> MutexGuard<'_, Option<Error>> {
        lock(&self.failed)
    }
}

/// A place in the line, which is left with this.
struct Place<'a> {
    shared: &'a Arc<Shared>,
    key: &'a SlotKey,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.shared.lines().leave(self.key, self.number) {
            self.shared.wake.notify_one();
        }
    }
}

pub(super) fn unavailable(error: Error) -> Error {
    Error::new(ErrorKind::Unavailable, "take slot").with_source(error)
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "take slot").with_context("reason", "closed")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
