//! The runs that a worker has claimed and not finished.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use agentscale_core::jobs::{Run, fenced};
use agentscale_core::{Error, ErrorKind};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) run: Run,
    until: Mutex<Instant>,
    reason: OnceLock<Error>,
    stop: CancellationToken,
}

impl Entry {
    /// Says that the run is to stop; the first reason stays.
    pub(super) fn stop(&self, reason: Error) -> bool {
        let first = self.reason.set(reason).is_ok();
        self.stop.cancel();
        first
    }

    pub(super) async fn stopped(&self) -> Error {
        self.stop.cancelled().await;
        self.reason().unwrap_or_else(|| Error::new(ErrorKind::Internal, "stop job"))
    }

    pub(super) fn reason(&self) -> Option<Error> {
        self.reason.get().cloned()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.reason.get().is_some_and(|reason| reason.kind() == ErrorKind::Fenced)
    }
}

#[derive(Debug, Default)]
pub(super) struct Runs {
    entries: Mutex<HashMap<Run, Arc<Entry>>>,
    ended: Notify,
}

impl Runs {
    /// A run that is this worker's until then, unless it is renewed.
    pub(super) fn begin(&self, run: Run, until: Instant) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            run,
            until: Mutex::new(until),
            reason: OnceLock::new(),
            stop: CancellationToken::new(),
        });
        self.entries().insert(run, entry.clone());
        entry
    }

    pub(super) fn end(&self, run: Run) {
        self.entries().remove(&run);
        self.ended.notify_waiters();
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries().values().cloned().collect()
    }

    pub(super) fn find(&self, run: Run) -> Option<Arc<Entry>> {
        self.entries().get(&run).cloned()
    }

    /// Notes that the store has given these runs more time.
    pub(super) fn renew(&self, renewed: &[Arc<Entry>], until: Instant) {
        for entry in renewed {
            *entry.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }

    /// Stops runs that the store may have taken back by now, as it could not be told of them in time. Says which.
    pub(super) fn stop_late(&self, now: Instant) -> Vec<Run> {
        let late = |entry: &Arc<Entry>| *entry.until.lock().unwrap_or_else(PoisonError::into_inner) <= now;
        let late: Vec<_> = self.entries().values().filter(|entry| late(entry)).cloned().collect();
        let stopped = late.into_iter().filter(|entry| {
            entry.stop(fenced("run job", entry.run).with_context("reason", "no heartbeat in time"))
        });
        stopped.map(|entry| entry.run).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.entries().len()
    }

    pub(super) async fn none_left(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            ended.await;
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Run, Arc<Entry>>> {
        // Entries are whole whenever a panic could strike.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
