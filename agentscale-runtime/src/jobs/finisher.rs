//! Tells the queue how runs ended: what ends while one list is under way is the next one.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::jobs::{Cause, ClaimedJob, Finish, JobState};
use agentscale_core::{ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::runs::Entry;
use super::shared::Shared;
use super::watch::Became;

/// After a list that the queue did not take, the next attempt waits.
const PAUSE: Duration = Duration::from_millis(100);

/// A run that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) job: Arc<ClaimedJob>,
    pub(super) entry: Arc<Entry>,
    /// `None` for a run that is lost.
    pub(super) finish: Option<Finish>,
    pub(super) failed: Option<ErrorKind>,
}

pub(super) async fn run(shared: Arc<Shared>, mut ended: mpsc::Receiver<Ended>) {
    let most = shared.queue.capabilities().limits.batch.max(1);
    let mut list = Vec::with_capacity(most);
    while ended.recv_many(&mut list, most).await > 0 {
        // One that ended while its claim was thought to be lost is told of once: the queue may not have taken it back.
        let (mut open, lost): (Vec<_>, Vec<_>) = list.drain(..).partition(|ended| ended.finish.is_some());
        lost.iter().for_each(|ended| shared.close(ended, Became::Lost));
        while !open.is_empty() {
            open = tell(&shared, open).await;
        }
    }
}

/// Gives what is still to be told.
async fn tell(shared: &Shared, open: Vec<Ended>) -> Vec<Ended> {
    let patience = shared.config.claim_ttl();
    let finishes = open.iter().filter_map(|ended| ended.finish.clone()).collect();
    let error = match timeout(patience, shared.queue.finish(finishes)).await {
        Ok(Ok(answers)) => {
            return open
                .into_iter()
                .zip(answers)
                .filter_map(|(ended, answer)| shared.settle(ended, answer))
                .collect();
        }
        Ok(Err(error)) => error,
        Err(_) => super::late("finish jobs", patience),
    };
    tracing::warn!(%error, "finishing jobs failed");
    sleep(PAUSE).await;
    // Those that the queue has taken back by now are others' business.
    open.into_iter().filter_map(|ended| shared.keep_open(ended)).collect()
}

impl Shared {
    fn keep_open(&self, ended: Ended) -> Option<Ended> {
        if !ended.entry.is_lost() {
            return Some(ended);
        }
        self.close(&ended, Became::Lost);
        None
    }

    /// A result that the queue refuses makes a dead letter: doing the job again would give it again.
    fn settle(&self, mut ended: Ended, answer: Result<JobState>) -> Option<Ended> {
        match answer {
            Ok(state) => {
                let became =
                    ended.finish.as_ref().map_or(Became::Lost, |finish| Became::of(&finish.outcome, state));
                self.close(&ended, became);
                None
            }
            Err(error) if error.kind() == ErrorKind::Fenced => {
                self.close(&ended, Became::Lost);
                None
            }
            Err(error) => {
                ended.failed = Some(error.kind());
                ended.finish = Some(Finish::dead(ended.entry.run, Cause::from(&error)));
                Some(ended)
            }
        }
    }

    fn close(&self, ended: &Ended, became: Became) {
        self.watch.ended(&ended.job, became, ended.failed);
        self.runs.end(ended.entry.run);
    }
}
