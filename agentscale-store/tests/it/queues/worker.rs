//! A worker that says what it begins and what it has finished, for as long as its process lives.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::jobs::{ClaimJobs, ClaimedJob, Finish, Heartbeat, MIN_TTL, QueueName, Run, WorkerId};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, JobQueue};

/// How long a run lives without a heartbeat.
pub(super) const TTL: Duration = MIN_TTL;
/// The payload of a job that kills the process which runs it.
pub(super) const POISON: &str = "poison";

pub(super) fn queue_name() -> QueueName {
    "work".try_into().expect("a name")
}

pub(super) async fn work(queue: Arc<dyn JobQueue>) {
    let worker = WorkerId::new(SystemClock::new().unix_micros());
    loop {
        let request = ClaimJobs::new(worker, queue_name(), 8).with_ttl(TTL);
        let claimed = queue.claim(request).await.expect("jobs are claimed");
        if claimed.is_empty() {
            queue.changed(&[queue_name()], TTL).await.expect("it is awaited");
        }
        let mut runs: Vec<Run> = claimed.iter().map(ClaimedJob::run).collect();
        for claimed in claimed {
            // Others wait behind it: they live by this.
            queue.heartbeat(Heartbeat::new(worker, runs.clone()).with_ttl(TTL)).await.expect("it is heard");
            runs.retain(|run| run.id != claimed.job.id);
            println!("began {}", claimed.job.id);
            if &*claimed.job.payload == POISON.as_bytes() {
                std::process::exit(1);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            let finish = Finish::completed(claimed.run(), claimed.epoch.counter.to_string());
            let mut answers = queue.finish(vec![finish]).await.expect("it is judged");
            match answers.remove(0) {
                Ok(_) => println!("finished {} {}", claimed.job.id, claimed.epoch.counter),
                Err(error) => println!("refused {} {}", claimed.job.id, error.kind()),
            }
        }
    }
}
