use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentscale_core::observe::{DroppedObservations, Observation, ObservationBuffer};
use agentscale_core::{Clock, Error, ErrorKind, Observer, Result};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::flush::{Counts, Flusher};
use super::{ObservationLogConfig, ObservationPage, ObservationQuery, ObservationStore};

/// An observer whose observations are kept. Clones share it.
///
/// [`emit`](Observer::emit) puts an observation into a buffer bounded in number and bytes and returns; a task of the log
/// writes batches. Where the store does not keep up, or is gone for a while, the buffer fills, the oldest of the least
/// level are dropped, and each drop is counted: in [`stats`](Self::stats), and by an observation `dropped` of no tenant with
/// the fields `n` and `level`, written with the next batch. What is longer than an observation may be is cut and marked.
///
/// An observation that was emitted is lost without being counted only where the process dies before its batch is written,
/// within [`interval`](ObservationLogConfig::interval) as long as the store keeps up.
#[derive(Clone, Debug)]
pub struct ObservationLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    buffer: Arc<ObservationBuffer>,
    store: Arc<dyn ObservationStore>,
    counts: Arc<Counts>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    /// Until when to try, once the log closes.
    closing: watch::Sender<Option<Instant>>,
    close_within: Duration,
    flusher: Mutex<Option<JoinHandle<Result<()>>>>,
    maintenance: Mutex<JoinSet<()>>,
}

/// What a log has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservationLogStats {
    /// Those that the store has.
    pub written: u64,
    /// Those that wait in the buffer.
    pub waiting: usize,
    /// Those that there was no room for, that the store refused, or that were left when the log closed.
    pub dropped: DroppedObservations,
    /// How many a batch holds.
    pub batch: usize,
    /// The 95th percentile of the last flushes, where there were enough.
    pub flush_p95: Option<Duration>,
}

impl ObservationLog {
    /// Writes to a store, whose maintenance it runs by the wall time of the clock. Within a tokio runtime.
    pub fn new(
        store: Arc<dyn ObservationStore>,
        config: &ObservationLogConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let buffer = Arc::new(ObservationBuffer::new(config.capacity).with_max_bytes(config.max_bytes));
        let counts = Arc::<Counts>::default();
        let (flushes, asked) = mpsc::channel(16);
        let (closing, closed) = watch::channel(None);
        let flusher =
            Flusher::new(buffer.clone(), store.clone(), counts.clone(), config, clock.clone(), closed);
        let mut maintenance = JoinSet::new();
        maintenance.spawn(maintain(store.clone(), clock, config.maintenance));
        Self {
            shared: Arc::new(Shared {
                buffer,
                store,
                counts,
                flushes,
                closing,
                close_within: config.close_within,
                flusher: Mutex::new(Some(tokio::spawn(flusher.run(asked)))),
                maintenance: Mutex::new(maintenance),
            }),
        }
    }

    /// Waits until what was emitted before is written or dropped.
    ///
    /// # Errors
    /// `unavailable` once the log is closed.
    pub async fn flush(&self) -> Result<()> {
        let closed =
            || Error::new(ErrorKind::Unavailable, "flush observations").with_context("reason", "closed");
        let (answer, flushed) = oneshot::channel();
        self.shared.flushes.send(answer).await.map_err(|_| closed())?;
        flushed.await.map_err(|_| closed())
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// Those of [`ObservationStore::query`].
    pub async fn query(&self, query: &ObservationQuery) -> Result<ObservationPage> {
        self.shared.store.query(query).await
    }

    /// What the log has done.
    pub fn stats(&self) -> ObservationLogStats {
        let mut stats = self.shared.counts.stats();
        stats.waiting = self.shared.buffer.len();
        stats.dropped.add(&self.shared.buffer.dropped());
        stats
    }

    /// Where observations are kept.
    pub fn store(&self) -> Arc<dyn ObservationStore> {
        self.shared.store.clone()
    }

    /// Writes what is in the buffer and closes the store. What is emitted later is dropped and counted.
    ///
    /// # Errors
    /// `unavailable` where the store does not take what is left in the time of the configuration: its context `lost` says
    /// how many were dropped; else those of [`ObservationStore::close`].
    pub async fn close(&self) -> Result<()> {
        let mut maintenance =
            std::mem::take(&mut *self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner));
        // What it leaves half-way goes on at the next start.
        maintenance.shutdown().await;
        self.shared.begin_to_close();
        let flusher = self.shared.flusher.lock().unwrap_or_else(PoisonError::into_inner).take();
        let written = match flusher {
            Some(flusher) => flusher.await.unwrap_or_else(|error| {
                Err(Error::new(ErrorKind::Internal, "close observation log").with_source(error))
            }),
            None => Ok(()),
        };
        written.and(self.shared.store.close().await)
    }
}

impl Observer for ObservationLog {
    fn emit(&self, observation: Observation) {
        self.shared.buffer.emit(observation.bounded());
    }
}

impl Shared {
    fn begin_to_close(&self) {
        self.buffer.close();
        self.closing.send_if_modified(|until| {
            let is_first = until.is_none();
            if is_first {
                *until = Some(Instant::now() + self.close_within);
            }
            is_first
        });
    }
}

/// The task writes what is left and ends.
impl Drop for Shared {
    fn drop(&mut self) {
        self.begin_to_close();
    }
}

async fn maintain(store: Arc<dyn ObservationStore>, clock: Arc<dyn Clock>, every: Duration) {
    loop {
        match store.maintain(clock.unix_micros()).await {
            Ok(done) if !done.retired.is_empty() => {
                tracing::info!(months = ?done.retired, "observations retired");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "maintenance of observations failed"),
        }
        sleep(every).await;
    }
}
