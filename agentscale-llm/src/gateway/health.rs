//! Whether a provider works, and how long its answers take.

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use agentscale_core::layers::{
    CircuitBreaker, CircuitBreakerConfig, CircuitState, CircuitTrip, ConsecutiveFailures, Hedge, HedgeConfig,
    HedgeTrigger, Permit,
};
use agentscale_core::time::{Clock, Monotonic};
use agentscale_core::{Error, Result};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::probe::Probe;
use super::{GatewayConfig, Shared};

/// What a pool knows of its provider. A reload leaves it as it is.
#[derive(Debug)]
pub(crate) struct Health {
    pool: String,
    breaker: CircuitBreaker,
    paces: [Hedge; 3],
    probe_every: Duration,
    /// Looks after the provider while its circuit is open.
    watch: Mutex<Option<AbortHandle>>,
}

/// What an attempt waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    FirstPart,
    Answer,
    Vectors,
}

/// The share of answers that are there by the time that counts as their pace, in percent, and the fewest that tell it.
const PACE: HedgeTrigger = HedgeTrigger::Percentile { percent: 99, min_samples: 20 };

const PACE_WINDOW: Duration = Duration::from_secs(3_600);

/// Who is silent for so many times the pace is slower than almost any answer was.
const PACES: u32 = 2;

/// Without an answer to a probe, the circuit lets a call through after so many times that between two probes.
const PROBES_BEFORE_A_CALL: u32 = 15;

/// Probes on their way at a time: one that hangs is given up after so many times that between two.
const MOST_PROBES: u32 = 5;

impl Health {
    pub(crate) fn new(pool: &str, config: &GatewayConfig, clock: &Arc<dyn Clock>) -> Result<Self> {
        let probe_every = Duration::from_millis(config.probe_every_ms);
        let failures = NonZeroU16::new(config.failures_to_leave).unwrap_or(NonZeroU16::MIN);
        let trip = ConsecutiveFailures { failures, ..ConsecutiveFailures::default() };
        let circuit = CircuitBreakerConfig {
            trip: CircuitTrip::ConsecutiveFailures(trip),
            open_for: probe_every.saturating_mul(PROBES_BEFORE_A_CALL),
            ..CircuitBreakerConfig::default()
        };
        let breaker = CircuitBreaker::new(pool.to_owned(), circuit, Arc::clone(clock))?;
        let pace = HedgeConfig { trigger: PACE, window: PACE_WINDOW, ..HedgeConfig::default() };
        let pace = || Hedge::new(&pace, Arc::clone(clock));
        let paces = [pace()?, pace()?, pace()?];
        Ok(Self { pool: pool.to_owned(), breaker, paces, probe_every, watch: Mutex::default() })
    }

    pub(crate) fn pool(&self) -> &str {
        &self.pool
    }

    /// Lets a call through, or says when one may be; `None` where that is not known.
    pub(crate) fn enter(&self) -> Result<Permit, Option<Duration>> {
        let soonest = |refused: Error| refused.retry_after().map(|wait| wait.min(self.probe_every));
        self.breaker.try_acquire().map_err(soonest)
    }

    /// An attempt begins.
    pub(crate) fn begin(&self, awaited: Awaited) -> Monotonic {
        self.pace(awaited).begin()
    }

    /// What the attempt waited for is there.
    pub(crate) fn answered(&self, awaited: Awaited, began: Monotonic) {
        self.pace(awaited).answered(began);
    }

    /// How long an attempt is silent before that is unlike what was seen: at least `least`; `first` while too little was.
    pub(crate) fn patience(&self, awaited: Awaited, least: Duration, first: Duration) -> Duration {
        self.pace(awaited).delay().map_or(first, |pace| (pace * PACES).max(least))
    }

    /// After a failure: where that has opened the circuit, probes go out until the provider answers one.
    pub(crate) fn watch(self: &Arc<Self>, shared: &Arc<Shared>, probe: Probe) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever ends says so first; a task that was ended with its runtime could not.
        let is_watched = watch.as_ref().is_some_and(|task| !task.is_finished());
        if !is_watched && self.is_open() {
            let watching = keep_watching(Arc::downgrade(self), Arc::downgrade(shared), probe);
            *watch = Some(tokio::spawn(watching).abort_handle());
        }
    }

    /// Whether the watch ends: from then on another one begins with the next failure that opens the circuit.
    fn ends_watch(&self) -> bool {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = !self.is_open();
        if ends {
            *watch = None;
        }
        ends
    }

    pub(crate) fn works(&self) -> bool {
        !self.is_open()
    }

    fn is_open(&self) -> bool {
        !matches!(self.breaker.state(), CircuitState::Closed)
    }

    fn pace(&self, awaited: Awaited) -> &Hedge {
        match awaited {
            Awaited::FirstPart => &self.paces[0],
            Awaited::Answer => &self.paces[1],
            Awaited::Vectors => &self.paces[2],
        }
    }
}

/// Sends probes for as long as the circuit is open; the answer to one closes it.
async fn keep_watching(health: Weak<Health>, shared: Weak<Shared>, probe: Probe) {
    let Some(every) = health.upgrade().map(|health| health.probe_every) else { return };
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut probes = FuturesUnordered::new();
    loop {
        let event = tokio::select! {
            answered = probes.next(), if !probes.is_empty() => Event::Ended { answered: answered == Some(true) },
            _ = ticks.tick() => Event::Tick,
        };
        let (Some(health), Some(shared)) = (health.upgrade(), shared.upgrade()) else { return };
        if event == (Event::Ended { answered: true }) {
            health.breaker.reset();
            shared.desk.tell_room();
        }
        if health.ends_watch() {
            return;
        }
        if event == Event::Tick {
            probes.extend(probe.send(&shared, &health.pool, every * MOST_PROBES));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Tick,
    Ended { answered: bool },
}

impl Drop for Health {
    fn drop(&mut self) {
        if let Some(task) = self.watch.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExtractiveProvider;
    use crate::gateway::route::AsksFor;
    use crate::gateway::{Gateway, GatewayModel, KeyPool, ProviderKey};

    #[tokio::test(start_paused = true)]
    async fn a_circuit_that_opens_while_its_watch_ends_is_watched_anew() {
        let key = ProviderKey::new("k", ExtractiveProvider::new());
        let builder = Gateway::builder().pool(KeyPool::new("p").key(key));
        let gateway = builder.model(GatewayModel::new("m").via("p", "")).build().unwrap();
        let shared = Arc::clone(&gateway.shared);
        let health = Arc::clone(shared.table().pool("p").unwrap().health());
        // It has seen a closed circuit, and its task has not ended yet.
        let ending = tokio::spawn(std::future::pending::<()>()).abort_handle();
        *health.watch.lock().unwrap() = Some(ending.clone());
        assert!(health.ends_watch());
        health.breaker.force_open();
        health.watch(&shared, Probe { model: String::new(), asks_for: AsksFor::Answer });
        let watching = health.watch.lock().unwrap().as_ref().map(AbortHandle::id);
        assert!(watching.is_some_and(|id| id != ending.id()), "{watching:?}");
    }
}
