use std::sync::Arc;
use std::time::Duration;

use agentscale_core::ScheduleStore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::config::SchedulerConfig;
use super::stats::Counters;

/// The longest wait after ticks that failed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Lines of history that one maintenance removes.
const REMOVED: usize = 1_000;

/// Ticks until it is told to stop.
pub(super) async fn run(
    store: Arc<dyn ScheduleStore>,
    config: SchedulerConfig,
    counters: Arc<Counters>,
    stop: CancellationToken,
) {
    let mut failures = 0;
    let mut maintain_at = Instant::now();
    while !stop.is_cancelled() {
        let wait = match store.tick(config.batch).await {
            Ok(tick) => {
                failures = 0;
                counters.ticked(&tick);
                match tick.more {
                    true => Duration::ZERO,
                    false => until_next(&config, tick.next_due_in),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "schedules did not tick");
                counters.failed();
                failures += 1;
                after_failures(&config, failures)
            }
        };
        if Instant::now() >= maintain_at {
            let is_done = maintain(&*store, &counters).await;
            maintain_at = Instant::now() + if is_done { spread(config.maintenance) } else { config.tick };
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

/// Whether there is no more to do.
async fn maintain(store: &dyn ScheduleStore, counters: &Counters) -> bool {
    match store.maintain(REMOVED).await {
        Ok(done) => !done.more,
        Err(error) => {
            tracing::warn!(%error, "history of schedules was not tidied");
            counters.failed();
            true
        }
    }
}

/// Not all processes at the moment at which something is due: the first one finds it, the others come a little later.
fn until_next(config: &SchedulerConfig, next_due_in: Option<Duration>) -> Duration {
    let spread_over = (config.tick / 10).min(Duration::from_millis(50)).mul_f64(fastrand::f64());
    match next_due_in {
        Some(due) if due < config.tick => due + spread_over,
        _ => spread(config.tick),
    }
}

fn after_failures(config: &SchedulerConfig, failures: u32) -> Duration {
    spread(config.tick.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT.max(config.tick)))
}

/// From half of it to all of it.
fn spread(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}
