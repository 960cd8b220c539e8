//! Claims jobs for the places that are free.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::jobs::{ClaimJobs, QueueName};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::dispatcher::Claimed;
use super::shared::Shared;

/// How long one look for jobs waits.
const LOOK: Duration = Duration::from_secs(10);
/// The first pause after an error of the queue, doubled for each further one up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Runs until the worker closes. What it hands over is claimed.
pub(super) async fn run(shared: Arc<Shared>, local: mpsc::Sender<Claimed>) {
    let mut ready: VecDeque<QueueName> = VecDeque::new();
    let mut pause = PAUSE;
    // Half a buffer at once, so that many short jobs do not claim one by one.
    let least = local.max_capacity().div_ceil(2);
    loop {
        let room = async {
            // An error says that nobody takes jobs any more; the worker has closed then.
            let _ = local.reserve_many(least).await;
        };
        if shared.closing.run_until_cancelled(room).await.is_none() {
            return;
        }
        let Some(queue) = ready.pop_front() else {
            match shared.closing.run_until_cancelled(shared.queue.changed(&shared.queues, LOOK)).await {
                None => return,
                Some(Ok(changed)) => {
                    ready.extend(changed);
                    pause = PAUSE;
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "looking for jobs failed");
                    shared.closing.run_until_cancelled(sleep(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            continue;
        };
        let room = local.capacity().max(1);
        // It is not cut short: what is claimed is begun or given back.
        match claim(&shared, queue.clone(), room).await {
            Ok(claimed) => {
                pause = PAUSE;
                if claimed.len() >= room {
                    ready.push_back(queue);
                }
                for claimed in claimed {
                    if let Err(mpsc::error::SendError(claimed)) = local.send(claimed).await {
                        shared.release(claimed).await;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "claiming jobs failed");
                shared.closing.run_until_cancelled(sleep(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn claim(shared: &Shared, queue: QueueName, room: usize) -> agentscale_core::Result<Vec<Claimed>> {
    let ttl = shared.config.claim_ttl();
    let asked = Instant::now();
    let request = ClaimJobs::new(shared.worker, queue, room).with_ttl(ttl);
    // An answer that comes later is of runs that are lost.
    let claimed =
        timeout(ttl, shared.queue.claim(request)).await.map_err(|_| super::late("claim jobs", ttl))??;
    let until = asked + shared.lifetime();
    let begun = claimed.into_iter().map(|claimed| {
        let entry = shared.runs.begin(claimed.run(), until);
        Claimed { job: Arc::new(claimed), entry }
    });
    Ok(begun.collect())
}
