//! Says that the worker is there, and tidies the queue.

use std::sync::Arc;

use agentscale_core::jobs::{Heartbeat, Run, fenced};
use agentscale_core::{Error, ErrorKind};
use tokio::time::{Instant, sleep, timeout};

use super::runs::Entry;
use super::shared::Shared;

/// Heartbeats within the time of a claim.
const BEATS: u32 = 3;
/// One that is not answered within this part of the time is sent again, as one that failed is.
const PATIENCE: u32 = 6;
/// Things of one maintenance.
const TIDIED: usize = 1_000;

/// One heartbeat for all runs of the worker.
pub(super) async fn beat(shared: Arc<Shared>) {
    let ttl = shared.config.claim_ttl();
    loop {
        let asked = Instant::now();
        let all = shared.runs.all();
        let mut failed = false;
        for some in all.chunks(shared.queue.capabilities().limits.batch.max(1)) {
            failed |= !send(&shared, some).await;
        }
        for run in shared.runs.stop_late(Instant::now()) {
            tracing::warn!(job = %run.id, "stopped, as the queue was not reached in time");
        }
        let pause = if failed { ttl / (2 * PATIENCE) } else { ttl / BEATS };
        tokio::time::sleep_until(asked + pause).await;
    }
}

/// Whether the queue has heard.
async fn send(shared: &Shared, some: &[Arc<Entry>]) -> bool {
    let ttl = shared.config.claim_ttl();
    let asked = Instant::now();
    let runs: Vec<Run> = some.iter().map(|entry| entry.run).collect();
    let heartbeat = Heartbeat::new(shared.worker, runs).with_ttl(ttl);
    let answer = match timeout(ttl / PATIENCE, shared.queue.heartbeat(heartbeat)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            tracing::warn!(%error, "heartbeat failed");
            return false;
        }
        Err(_) => {
            tracing::warn!("heartbeat was not answered in time");
            return false;
        }
    };
    shared.runs.renew(some, asked + shared.lifetime());
    for run in answer.lost {
        // One that was finished meanwhile is none of the worker's any more.
        if let Some(entry) = shared.runs.find(run) {
            entry.stop(fenced("run job", run).with_context("reason", "taken back"));
        }
    }
    for run in answer.cancelled {
        if let Some(entry) = shared.runs.find(run) {
            entry.stop(Error::new(ErrorKind::Cancelled, "run job").with_context("job", run.id));
        }
    }
    true
}

/// Removes what the queue keeps for nobody.
pub(super) async fn tidy(shared: Arc<Shared>) {
    loop {
        // Workers that were started together come apart.
        sleep(shared.config.maintain_interval.mul_f64(0.5 + fastrand::f64())).await;
        if let Err(error) = shared.queue.maintain(TIDIED).await {
            tracing::warn!(%error, "maintaining the queue failed");
        }
    }
}
