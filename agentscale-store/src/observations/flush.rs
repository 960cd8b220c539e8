use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentscale_core::observe::{DroppedObservations, Observation, ObservationBuffer, ObservationLevel};
use agentscale_core::{Clock, Error, ErrorKind, HybridClock, Result, Retry};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use super::{BatchSize, ObservationLogConfig, ObservationLogStats, ObservationRecord, ObservationStore};

/// The largest batch in bytes.
const BYTES: usize = 4 << 20;
/// In a rush the buffer is looked at so often, and nobody who emits has to wake this task.
const POLL: Duration = Duration::from_millis(10);
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// Carries off what a buffer holds.
pub(super) struct Flusher {
    buffer: Arc<ObservationBuffer>,
    store: Arc<dyn ObservationStore>,
    counts: Arc<Counts>,
    interval: Duration,
    clock: Arc<dyn Clock>,
    stamps: HybridClock,
    writer: u64,
    numbers: u64,
    batch: BatchSize,
    is_rush: bool,
    /// Refused by the store and not reported yet.
    refused: DroppedObservations,
    closing: watch::Receiver<Option<Instant>>,
}

/// What was done, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Counts {
    stats: Mutex<ObservationLogStats>,
}

impl Counts {
    pub(super) fn stats(&self) -> ObservationLogStats {
        *self.held()
    }

    fn held(&self) -> MutexGuard<'_, ObservationLogStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a part of a batch.
enum Written {
    Yes,
    Refused(Error),
    /// The time to close is over.
    Left(Option<Error>),
}

impl Flusher {
    pub(super) fn new(
        buffer: Arc<ObservationBuffer>,
        store: Arc<dyn ObservationStore>,
        counts: Arc<Counts>,
        config: &ObservationLogConfig,
        clock: Arc<dyn Clock>,
        closing: watch::Receiver<Option<Instant>>,
    ) -> Self {
        let (writer, node) = Uuid::new_v4().as_u64_pair();
        let batch = BatchSize::new(config.batch, config.max_batch);
        counts.held().batch = batch.size();
        Self {
            buffer,
            store,
            counts,
            interval: config.interval,
            clock,
            stamps: HybridClock::new(node),
            // 63 bits, as the numbers of databases have a sign.
            writer: writer >> 1,
            numbers: 0,
            batch,
            is_rush: false,
            refused: DroppedObservations::default(),
            closing,
        }
    }

    /// Until the log closes.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<()>>) -> Result<()> {
        let mut closing = self.closing.clone();
        loop {
            let asks = tokio::select! {
                Some(answer) = asked.recv() => Some(answer),
                () = self.due() => None,
                _ = closing.wait_for(Option::is_some) => break,
            };
            // Who asks waits for what is there now.
            let mut left = if asks.is_some() { self.buffer.len() } else { usize::MAX };
            loop {
                let taken = self.flush_one().await?;
                left = left.saturating_sub(taken);
                let is_whole = self.buffer.len() >= self.batch.size();
                // What was counted may have been displaced since: then nothing is left to be taken.
                if left == 0 || taken == 0 || (asks.is_none() && !is_whole) || closing.borrow().is_some() {
                    break;
                }
            }
            if let Some(answer) = asks {
                // Whoever does not wait any more misses nothing.
                let _ = answer.send(());
            }
        }
        while !self.buffer.is_empty() {
            self.flush_one().await?;
        }
        // What was dropped last is told, too.
        self.flush_one().await.map(|_| ())
    }

    /// Waits until there is a batch, or so long as one may wait.
    async fn due(&mut self) {
        let size = self.batch.size();
        if self.is_rush {
            let until = Instant::now() + self.interval;
            sleep(POLL).await;
            while self.buffer.len() < size && Instant::now() < until {
                sleep(POLL).await;
            }
            self.is_rush = self.buffer.len() >= size;
        } else {
            self.is_rush = timeout(self.interval, self.buffer.filled(size)).await.is_ok();
        }
    }

    /// Writes a batch and says how many were taken out for it.
    ///
    /// # Errors
    /// `unavailable` where the time to close is over.
    async fn flush_one(&mut self) -> Result<usize> {
        let batch = self.buffer.drain_within(self.batch.size(), BYTES);
        let taken = batch.observations.len();
        let mut dropped = batch.dropped;
        dropped.add(&std::mem::take(&mut self.refused));
        let mut records: Vec<_> =
            batch.observations.into_iter().map(|observation| self.record(observation)).collect();
        let reports = self.reports(&dropped);
        let first_report = reports.first().map_or(u64::MAX, |(record, _)| record.number);
        let levels: Vec<_> = reports.iter().map(|(record, level)| (record.number, *level)).collect();
        records.extend(reports.into_iter().map(|(record, _)| record));
        let mut parts = if records.is_empty() { Vec::new() } else { vec![records] };
        while let Some(mut part) = parts.pop() {
            match self.append(&part).await {
                Written::Yes => self.counts.held().written += part.len() as u64,
                Written::Refused(error) => {
                    // One that cannot be kept is found by halves; what all share is not looked for.
                    let is_one = matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge);
                    if is_one && part.len() > 1 {
                        let rest = part.split_off(part.len() / 2);
                        parts.extend([rest, part]);
                        continue;
                    }
                    tracing::warn!(%error, observations = part.len(), "observations were refused");
                    for record in &part {
                        match levels.iter().find(|(number, _)| *number == record.number) {
                            // What it told is told again.
                            Some((_, level)) => self.refused.count(*level, dropped.of(*level)),
                            None => {
                                self.refused.count(record.observation.level, 1);
                                self.counts.held().dropped.count(record.observation.level, 1);
                            }
                        }
                    }
                }
                Written::Left(error) => {
                    parts.push(part);
                    let left = parts.iter().flatten().filter(|record| record.number < first_report);
                    return Err(self.leave(left, error));
                }
            }
        }
        Ok(taken)
    }

    /// One for each level that lost any.
    fn reports(&mut self, dropped: &DroppedObservations) -> Vec<(ObservationRecord, ObservationLevel)> {
        let lost = ObservationLevel::ALL.into_iter().filter(|level| dropped.of(*level) > 0);
        let reports = lost.map(|level| {
            let stamp = self.stamps.stamp(self.clock.unix_micros());
            let told = Observation::new(ObservationLevel::Warning, "dropped", stamp)
                .with_field("n", dropped.of(level))
                .with_field("level", level.as_str());
            (self.record(told), level)
        });
        reports.collect()
    }

    async fn append(&mut self, part: &[ObservationRecord]) -> Written {
        let mut retry = FIRST_RETRY;
        let mut closing = self.closing.clone();
        let mut last = None;
        loop {
            let began = Instant::now();
            let appended = tokio::select! {
                biased;
                appended = self.store.append(part) => appended,
                () = expired(&mut closing) => return Written::Left(last),
            };
            match appended {
                Ok(()) => {
                    self.batch.flushed(began.elapsed(), self.buffer.len());
                    let mut stats = self.counts.held();
                    (stats.batch, stats.flush_p95) = (self.batch.size(), self.batch.p95());
                    return Written::Yes;
                }
                Err(error) if error.retry() == Retry::Later => {
                    if last.is_none() {
                        tracing::warn!(%error, "observations wait for their store");
                    }
                    last = Some(error);
                }
                Err(error) => return Written::Refused(error),
            }
            tokio::select! {
                () = sleep(retry) => {}
                () = expired(&mut closing) => return Written::Left(last),
            }
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    /// Counts what is left in hand and in the buffer.
    fn leave<'a>(&self, records: impl Iterator<Item = &'a ObservationRecord>, error: Option<Error>) -> Error {
        let mut lost = 0_usize;
        let rest = self.buffer.drain(usize::MAX).observations;
        let levels = records.map(|record| record.observation.level);
        let mut stats = self.counts.held();
        for level in levels.chain(rest.iter().map(|observation| observation.level)) {
            stats.dropped.count(level, 1);
            lost += 1;
        }
        drop(stats);
        let told = Error::new(ErrorKind::Unavailable, "close observation log").with_context("lost", lost);
        match error {
            Some(error) => told.with_source(error),
            None => told,
        }
    }

    fn record(&mut self, observation: Observation) -> ObservationRecord {
        self.numbers += 1;
        ObservationRecord::new(observation, self.writer, self.numbers)
    }
}

/// Never, as long as the log does not close.
async fn expired(closing: &mut watch::Receiver<Option<Instant>>) {
    let until = match closing.wait_for(Option::is_some).await {
        Ok(until) => *until,
        // The log itself is gone, which says when first.
        Err(_) => None,
    };
    if let Some(until) = until {
        sleep_until(until).await;
    }
}
