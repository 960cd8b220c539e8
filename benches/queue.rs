//! Jobs through a queue in a file of SQLite, from their enqueue to their finish.
//!
//! `cargo bench --bench queue [-- JOBS ROUNDS]`; the folder is `TMPDIR`'s.
//!
//! *End to end*: 8 tasks enqueue jobs of 256 bytes, 100 at once, each when its last list is answered; one worker of this
//! process runs them meanwhile by a handler that does nothing, 256 at once. Each job is claimed, begun, and finished by a
//! finish of its own, which the worker sends in lists of what ended meanwhile. The clock runs from the first enqueue to the
//! moment at which the queue has taken the last finish. *Disk* syncs before it answers, *process* does not.
//!
//! *Pick-up*: one job is enqueued while the worker waits; what is timed is from the call to the begin of its handler, the
//! enqueue's own sync included.
//!
//! *PostgreSQL* (`-- JOBS ROUNDS HELD_SECONDS`, `--features store-postgres`, the server by `AGENTSCALE_TEST_POSTGRES_URL`,
//! PgBouncer by `AGENTSCALE_TEST_PGBOUNCER_URL`; `cargo xtask servers -- cargo bench …` starts both): the worker of
//! `benches/support/queue.rs`, with a call for each finish. *Held*: jobs a second while another connection holds a snapshot
//! for so many seconds, beside those before.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agentscale_core::checkpoint::Durability;
use agentscale_core::jobs::{Job, JobId, QueueName};
use agentscale_core::time::SystemClock;
use agentscale_core::{JobQueue, Tenant};
use agentscale_runtime::{JobEnd, JobRun, JobWorker, JobWorkerConfig};
use agentscale_store::{SqliteJobConfig, SqliteJobQueue};
use tokio::sync::mpsc;

#[cfg(feature = "store-postgres")]
#[path = "support/queue_postgres.rs"]
mod postgres;
#[cfg(feature = "store-postgres")]
#[path = "support/queue.rs"]
mod queue;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PRODUCERS: usize = 8;
const LIST: usize = 100;
const PICKED_UP: usize = 200;

#[derive(Clone, Copy, Debug, Default)]
struct Round {
    sync_micros: f64,
    disk: f64,
    process: f64,
    pick_up_p50: f64,
    pick_up_p99: f64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let jobs = numbers.first().copied().unwrap_or(50_000);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    let mut measured = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let mut round = Round { sync_micros: sync_probe(folder.path())?, ..Round::default() };
        round.disk = end_to_end(&at("disk.db"), Durability::Disk, jobs).await?;
        round.process = end_to_end(&at("process.db"), Durability::Process, jobs).await?;
        (round.pick_up_p50, round.pick_up_p99) = pick_up(&at("idle.db")).await?;
        measured.push(round);
    }
    let median = |of: fn(&Round) -> f64| {
        let mut values: Vec<f64> = measured.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!("median of {rounds} rounds of {jobs} jobs each");
    println!("{:<40}{:>12.0}", "fdatasync of 4 KiB, us", median(|r| r.sync_micros));
    println!("{:<40}{:>12.0}  asked >= 10000/s", "end to end, disk, jobs/s", median(|r| r.disk));
    println!("{:<40}{:>12.0}", "end to end, process, jobs/s", median(|r| r.process));
    println!("{:<40}{:>12.2}  asked <= 10 ms", "pick-up when idle, p50, ms", median(|r| r.pick_up_p50));
    println!("{:<40}{:>12.2}", "pick-up when idle, p99, ms", median(|r| r.pick_up_p99));
    #[cfg(feature = "store-postgres")]
    {
        let held = Duration::from_secs(numbers.get(2).copied().unwrap_or(0) as u64);
        postgres::run(jobs, rounds, held).await?;
    }
    Ok(())
}

async fn open(path: &Path, level: Durability) -> Result<SqliteJobQueue, Failure> {
    let mut config = SqliteJobConfig::default();
    config.level = level;
    Ok(SqliteJobQueue::open_with(path, config, Arc::new(SystemClock::new())).await?)
}

fn work() -> Result<QueueName, Failure> {
    Ok("work".try_into()?)
}

fn job() -> Result<Job, Failure> {
    Ok(Job::new(JobId::new(1), Tenant::new("acme")?, work()?, "bench".try_into()?, vec![b'x'; 256]))
}

async fn end_to_end(path: &Path, level: Durability, jobs: usize) -> Result<f64, Failure> {
    let queue = open(path, level).await?;
    let done = Arc::new(AtomicUsize::new(0));
    let counted = done.clone();
    let config = JobWorkerConfig { concurrency: 256, buffer: 1_000, ..JobWorkerConfig::default() };
    let worker = JobWorker::builder(Arc::new(queue.clone()))
        .queue(work()?)
        .config(config)
        .handler("bench".try_into()?, move |_: JobRun| {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(JobEnd::done()))
        })
        .start()?;
    let start = Instant::now();
    let lists = jobs / LIST / PRODUCERS;
    let mut producers = Vec::with_capacity(PRODUCERS);
    for _ in 0..PRODUCERS {
        let queue = queue.clone();
        producers.push(tokio::spawn(async move {
            for _ in 0..lists {
                queue.enqueue((0..LIST).map(|_| job()).collect::<Result<_, _>>()?).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for producer in producers {
        producer.await??;
    }
    let all = lists * PRODUCERS * LIST;
    while done.load(Ordering::Relaxed) < all || worker.claimed() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let elapsed = start.elapsed().as_secs_f64();
    worker.drain(Duration::from_secs(5)).await;
    queue.close().await?;
    Ok(all as f64 / elapsed)
}

async fn pick_up(path: &Path) -> Result<(f64, f64), Failure> {
    let queue = open(path, Durability::Disk).await?;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let worker = JobWorker::builder(Arc::new(queue.clone()))
        .queue(work()?)
        .handler("bench".try_into()?, move |_: JobRun| {
            // Nobody listens once the last one was timed.
            let _ = begun.send(Instant::now());
            std::future::ready(Ok(JobEnd::done()))
        })
        .start()?;
    let mut millis = Vec::with_capacity(PICKED_UP);
    for _ in 0..PICKED_UP {
        while worker.claimed() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let asked = Instant::now();
        queue.enqueue(vec![job()?]).await?;
        let begun = begins.recv().await.ok_or("the worker ended")?;
        millis.push(begun.saturating_duration_since(asked).as_secs_f64() * 1e3);
    }
    worker.drain(Duration::from_secs(5)).await;
    queue.close().await?;
    millis.sort_by(f64::total_cmp);
    Ok((millis[PICKED_UP / 2], millis[PICKED_UP * 99 / 100]))
}

/// How long the device takes for one sync, the median of 100.
fn sync_probe(folder: &Path) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("probe"))?;
    let mut micros = Vec::with_capacity(100);
    for _ in 0..100 {
        let start = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    Ok(micros[50])
}
