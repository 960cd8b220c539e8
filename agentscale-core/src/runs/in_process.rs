use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{
    AppendEvents, Epoch, OpenRun, ReadEvents, RunId, RunPage, RunStreamLimits, RunStreams, from_the_future,
};
use crate::{Error, ErrorKind, Result};

mod held;
mod stream;

use held::Held;

/// How much a process keeps of the streams of its runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct InProcessRunStreamsConfig {
    /// Of each stream.
    pub limits: RunStreamLimits,
    /// Streams; that with the least time left makes room. Default 20,000.
    pub streams: usize,
    /// Bytes of all streams, with 128 for each event and 512 for each stream beside; streams with the least time left
    /// make room. Default 256 MiB.
    pub bytes: usize,
}

impl Default for InProcessRunStreamsConfig {
    fn default() -> Self {
        Self { limits: RunStreamLimits::default(), streams: 20_000, bytes: 256 << 20 }
    }
}

/// What the streams of a process hold, and what made room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunStreamsStats {
    /// Streams, now.
    pub streams: usize,
    /// Bytes of all streams, now, as [`InProcessRunStreamsConfig::bytes`] counts them.
    pub bytes: usize,
    /// Streams that made room for others before their time was over.
    pub evicted: u64,
    /// Events that made room for newer ones of their stream.
    pub trimmed: u64,
}

/// Streams of runs in the memory of one process. Clones share them.
///
/// Time is tokio's. A stream whose time is over is forgotten with the next operation on any stream.
#[derive(Clone, Debug, Default)]
pub struct InProcessRunStreams {
    config: Arc<InProcessRunStreamsConfig>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    held: Held,
    /// Who waits for a stream's next event.
    waiting: HashMap<RunId, Weak<Notify>>,
}

impl InProcessRunStreams {
    /// Keeps streams within bounds.
    ///
    /// # Errors
    /// `invalid_input` with the `field` that cannot work.
    pub fn new(config: InProcessRunStreamsConfig) -> Result<Self> {
        config.limits.check()?;
        if config.streams == 0 {
            return Err(
                Error::new(ErrorKind::InvalidInput, "keep run streams").with_context("field", "streams")
            );
        }
        Ok(Self { config: Arc::new(config), state: Arc::default() })
    }

    /// What is held now, and what made room.
    pub fn stats(&self) -> RunStreamsStats {
        let mut state = self.state();
        state.held.expire(Instant::now());
        state.held.stats()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands behind an id now; `None` where the stream does not exist.
    fn look(&self, request: &ReadEvents) -> Result<Option<RunPage>> {
        let mut state = self.state();
        state.held.expire(Instant::now());
        let Some(stream) = state.held.stream(&request.run) else { return Ok(None) };
        match request.after {
            Some(after) if after > stream.last() => Err(from_the_future(&request.run, after, stream.last())),
            after => Ok(Some(stream.page(after, request.limit.max(1)))),
        }
    }

    fn watch(&self, run: &RunId) -> Watch<'_> {
        let mut state = self.state();
        let shared = state.waiting.get(run).and_then(Weak::upgrade);
        let notify = shared.unwrap_or_else(|| {
            let notify = Arc::new(Notify::new());
            state.waiting.insert(run.clone(), Arc::downgrade(&notify));
            notify
        });
        Watch { streams: self, run: run.clone(), notify }
    }
}

#[async_trait]
impl RunStreams for InProcessRunStreams {
    fn limits(&self) -> &RunStreamLimits {
        &self.config.limits
    }

    async fn open(&self, request: OpenRun) -> Result<u64> {
        let mut state = self.state();
        state.held.open(&request, Instant::now(), &self.config)
    }

    async fn append(&self, request: AppendEvents) -> Result<()> {
        let run = request.run.clone();
        let mut state = self.state();
        state.held.append(request, Instant::now(), &self.config)?;
        let waiting = state.waiting.get(&run).and_then(Weak::upgrade);
        drop(state);
        if let Some(waiting) = waiting {
            waiting.notify_waiters();
        }
        Ok(())
    }

    async fn renew(&self, run: &RunId, epoch: Epoch) -> Result<()> {
        self.state().held.renew(run, epoch, Instant::now(), self.config.limits.ttl)
    }

    async fn read(&self, request: ReadEvents) -> Result<RunPage> {
        let says_something = |page: &RunPage| page.ended || !page.items.is_empty();
        let mut page = self.look(&request)?;
        if !page.as_ref().is_some_and(says_something) && request.wait > Duration::ZERO {
            let now = Instant::now();
            let until = now.checked_add(request.wait).unwrap_or(now + self.config.limits.ttl);
            let watch = self.watch(&request.run);
            loop {
                // Made before the look: what is appended after that wakes it.
                let appended = watch.notify.notified();
                page = self.look(&request)?;
                if page.as_ref().is_some_and(says_something) || timeout_at(until, appended).await.is_err() {
                    break;
                }
            }
        }
        page.ok_or_else(|| Error::new(ErrorKind::NotFound, "read events").with_context("run", &request.run))
    }
}

/// One who waits for events of a run.
struct Watch<'a> {
    streams: &'a InProcessRunStreams,
    run: RunId,
    notify: Arc<Notify>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut state = self.streams.state();
        // The last one: none comes in between, as the lock is held.
        if Arc::strong_count(&self.notify) == 1 {
            state.waiting.remove(&self.run);
        }
    }
}
