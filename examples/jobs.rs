//! Work that waits: jobs in a file, a worker that does them, and what becomes of one that fails.
//!
//! ```sh
//! cargo run --example jobs
//! ```

use std::time::Duration;

use agentscale::core::jobs::{DeadJobQuery, Idempotency, Job, JobId, JobOutcome, JobRetry};
use agentscale::core::time::SystemClock;
use agentscale::core::{Clock, JobQueue};
use agentscale::prelude::*;
use agentscale::runtime::{JobEnd, JobRun, JobWorker};

#[tokio::main]
async fn main() -> Result<()> {
    let stores = Stores::sqlite(".agentscale").await?;
    let queue = stores.jobs().await?;
    let worker = JobWorker::builder(queue.clone())
        .queue("mail".try_into()?)
        .handler("welcome".try_into()?, |run: JobRun| async move {
            let name: String = run.payload()?;
            JobEnd::json(&format!("hello, {name}"))
        })
        .handler("fax".try_into()?, |_: JobRun| async {
            Err(Error::new(ErrorKind::Unavailable, "find a fax machine"))
        })
        .start()?;

    let tenant = Tenant::new("home")?;
    let now = SystemClock::new().unix_micros();
    let job = |kind: &str| {
        let id = JobId::new(now);
        Ok::<_, Error>(Job::new(id, tenant.clone(), "mail".try_into()?, kind.try_into()?, r#""alice""#))
    };
    // Enqueued twice, or by a program that is started twice, it is done once.
    let key = IdempotencyKey::new("welcome-alice")?;
    let welcome = || Ok::<_, Error>(job("welcome")?.with_idempotency(Idempotency::new(key.clone())));
    let fax = job("fax")?.with_retry(JobRetry { max_attempts: 2, ..JobRetry::default() });
    for enqueued in queue.enqueue(vec![welcome()?, welcome()?, fax]).await? {
        println!("{enqueued:?}");
    }

    let outcome = loop {
        match queue.outcome(&tenant, &key).await?.and_then(|recorded| recorded.outcome) {
            Some(outcome) => break outcome,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    if let JobOutcome::Completed(result) = outcome {
        println!("{}", String::from_utf8_lossy(&result));
    }
    let dead = loop {
        let page = queue.dead_letters(DeadJobQuery::new(10).of(tenant.clone())).await?;
        match page.jobs.into_iter().next() {
            Some(dead) => break dead,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    println!("dead after {} attempts: {}", dead.attempts, dead.cause);
    queue.discard(&tenant, vec![dead.job.id]).await?;
    worker.drain(Duration::from_secs(10)).await;
    stores.close().await
}
