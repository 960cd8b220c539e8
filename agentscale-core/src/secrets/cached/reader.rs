use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::entry::{Entry, Signals, View};
use super::stats::Counts;
use super::{CachedSecretsConfig, Shared};
use crate::secrets::{Secret, SecretSource};
use crate::{Error, ErrorKind, Result};

/// Reads one secret again and again. It holds neither its entry nor the cache, which abort it when they go.
struct Reader {
    source: Arc<dyn SecretSource>,
    config: CachedSecretsConfig,
    counts: Counts,
    name: Arc<str>,
    signals: Arc<Signals>,
    view: watch::Sender<View>,
}

/// An entry whose reader runs.
pub(super) fn start(shared: &Shared, name: Arc<str>) -> Entry {
    let (view, seen) = watch::channel(View::default());
    let signals = Arc::new(Signals::default());
    let reader = Reader {
        source: Arc::clone(&shared.source),
        config: shared.config.clone(),
        counts: shared.counts.clone(),
        name,
        signals: Arc::clone(&signals),
        view,
    };
    Entry::new(seen, signals, tokio::spawn(reader.run()).abort_handle())
}

impl Reader {
    async fn run(self) {
        let mut unused_for = Duration::ZERO;
        while unused_for < self.config.forget_after() {
            let read = self.read().await;
            let is_read = read.is_ok();
            self.view.send_modify(|view| view.take(read));
            let waited = self.wait(is_read).await;
            unused_for = match self.signals.used.swap(false, Ordering::Relaxed) {
                true => Duration::ZERO,
                false => unused_for + waited,
            };
        }
        // Whoever still looks at it sees that it has gone.
        self.view.send_replace(View::default());
    }

    /// Waits until the secret is to be read again, and tells how long that is at least.
    async fn wait(&self, is_read: bool) -> Duration {
        let (retry, usual) = (self.config.retry(), self.config.ttl() * 4 / 5);
        if !is_read || usual <= retry {
            let wait = if is_read { usual } else { retry };
            sleep(wait).await;
            return wait;
        }
        sleep(retry).await;
        tokio::select! {
            () = sleep(usual - retry) => usual,
            () = self.signals.wake.notified() => retry,
        }
    }

    async fn read(&self) -> Result<Secret> {
        self.counts.reads.increment();
        let read = timeout(self.config.read_timeout(), self.source.secret(&self.name)).await;
        let read = read.unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::DeadlineExceeded, "read a secret");
            Err(error.with_context("name", self.name.escape_debug()))
        });
        if read.is_err() {
            self.counts.failures.increment();
        }
        read
    }
}
