use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::secrets::Secret;
use crate::{Error, Result};

/// One secret, its reader and who waits for it.
pub(super) struct Entry {
    view: watch::Receiver<View>,
    signals: Arc<Signals>,
    /// Behind which read the other side did not accept it; 0 before any.
    rejected_at: AtomicU64,
    made_at: Instant,
    reader: AbortHandle,
}

/// What an entry tells its reader.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Read again.
    pub(super) wake: Notify,
    /// Whether anyone asked since the reader last looked.
    pub(super) used: AtomicBool,
}

/// What the reader has read.
#[derive(Clone, Default)]
pub(super) struct View {
    /// How often it has read.
    reads: u64,
    kept: Option<(Secret, Instant)>,
    error: Option<Error>,
}

impl Entry {
    pub(super) fn new(view: watch::Receiver<View>, signals: Arc<Signals>, reader: AbortHandle) -> Self {
        Self { view, signals, rejected_at: AtomicU64::new(0), made_at: Instant::now(), reader }
    }

    /// Someone asks.
    pub(super) fn touch(&self) {
        self.signals.used.store(true, Ordering::Relaxed);
    }

    /// Whether its reader still runs.
    pub(super) fn is_read(&self) -> bool {
        self.view.has_changed().is_ok()
    }

    pub(super) fn made_at(&self) -> Instant {
        self.made_at
    }

    /// What was read; waits for the first read, and for another behind a rejection. `None` where the reader has ended.
    pub(super) async fn view(&self) -> Option<View> {
        let rejected_at = self.rejected_at.load(Ordering::Acquire);
        let view = self.view.clone().wait_for(|view| view.reads > rejected_at).await.ok()?.clone();
        Some(view)
    }

    /// Has it read anew, where it is what would be given.
    pub(super) fn reject(&self, secret: &Secret) {
        let view = self.view.borrow();
        if view.kept.as_ref().is_some_and(|(kept, _)| kept == secret) {
            self.rejected_at.fetch_max(view.reads, Ordering::AcqRel);
            self.signals.wake.notify_one();
        }
    }
}

impl View {
    /// A read has ended.
    pub(super) fn take(&mut self, read: Result<Secret>) {
        let now = Instant::now();
        self.reads += 1;
        match read {
            Ok(secret) => (self.kept, self.error) = (Some((secret, now)), None),
            Err(error) => self.error = Some(error),
        }
    }

    /// The secret, and for how long it is known.
    pub(super) fn kept(&self) -> Option<(Secret, Duration)> {
        self.kept.as_ref().map(|(secret, at)| (secret.clone(), at.elapsed()))
    }

    pub(super) fn error(&self) -> Option<Error> {
        self.error.clone()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
