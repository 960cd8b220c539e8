//! What an observation costs who emits it, and how many a second a database takes.
//!
//! `cargo bench --bench observations [--features store-postgres] [-- SECONDS]`; the folder is `TMPDIR`'s, the server that of
//! `AGENTSCALE_TEST_POSTGRES_URL` (`cargo xtask servers -- cargo bench …` starts one).
//!
//! *Emit*: one thread emits so many a second and times each call of `emit`, the observation being built before; a reading
//! of the clock takes part of it, which is shown too. Every hundredth is an error, the others debug and info in turn.
//! *Written* and *dropped* are what the log says when it has written all that it held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentscale::core::observe::{DroppedObservations, Observation, ObservationLevel, Observer};
use agentscale::core::time::SystemClock;
use agentscale::core::{Address, Clock, HybridClock, TaskName, Tenant, TraceId};
use agentscale::store::observations::{ObservationLogConfig, ObservationStore};
use agentscale::store::{ObservationLog, SqliteObservationStore};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Observations of one millisecond come together.
const TICK: Duration = Duration::from_millis(1);

fn main() -> Result<(), Failure> {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(bench(Duration::from_secs(seconds)))
}

async fn bench(lasts: Duration) -> Result<(), Failure> {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.split(' ').next().unwrap_or("?"));
    println!("a reading of the clock: p50 {} ns", clock_nanos());
    println!(
        "{:>10} {:>9} {:>8} {:>8} {:>9} {:>9} {:>24} {:>6} {:>9}",
        "store", "per s", "p50 ns", "p99 ns", "p99.9 ns", "written", "dropped d/i/w/e", "batch", "p95 flush"
    );
    let folder = tempfile::tempdir()?;
    let sqlite = SqliteObservationStore::open(folder.path().join("observations.db")).await?;
    for rate in [1_000, 10_000, 200_000] {
        round("sqlite", Arc::new(sqlite.clone()), rate, lasts).await?;
    }
    #[cfg(feature = "store-postgres")]
    match std::env::var("AGENTSCALE_TEST_POSTGRES_URL") {
        Ok(url) => {
            let postgres = postgres(&url).await?;
            for rate in [1_000, 10_000, 200_000] {
                round("postgres", Arc::new(postgres.clone()), rate, lasts).await?;
            }
        }
        Err(_) => println!("postgres is left out: AGENTSCALE_TEST_POSTGRES_URL is not set"),
    }
    Ok(())
}

#[cfg(feature = "store-postgres")]
async fn postgres(url: &str) -> Result<agentscale::store::PostgresObservationStore, Failure> {
    use agentscale::store::PostgresObservationStore;
    use agentscale::store::postgres::{Postgres, PostgresConfig};

    let mut config = PostgresConfig::default();
    config.schema = format!("bench_{}", std::process::id());
    let postgres = Postgres::open(url, &config, 0).await?;
    Ok(PostgresObservationStore::on(postgres, Default::default()).await?)
}

async fn round(
    name: &str,
    store: Arc<dyn ObservationStore>,
    rate: u64,
    lasts: Duration,
) -> Result<(), Failure> {
    let log = ObservationLog::new(store, &ObservationLogConfig::default(), Arc::new(SystemClock::new()));
    let emitter = log.clone();
    let mut nanos = tokio::task::spawn_blocking(move || emit(&emitter, rate, lasts)).await?;
    // What the log held while they came.
    let (batch, p95) = (log.stats().batch, log.stats().flush_p95);
    log.flush().await?;
    let stats = log.stats();
    nanos.sort_unstable();
    let at = |per_mille: usize| nanos[nanos.len() * per_mille / 1_000];
    println!(
        "{name:>10} {rate:>9} {:>8} {:>8} {:>9} {:>9} {:>24} {batch:>6} {:>9}",
        at(500),
        at(990),
        at(999),
        stats.written,
        dropped(&stats.dropped),
        p95.map_or_else(|| "-".to_owned(), |p95| format!("{:.1} ms", p95.as_secs_f64() * 1e3)),
    );
    Ok(())
}

fn emit(log: &ObservationLog, rate: u64, lasts: Duration) -> Vec<u32> {
    let (wall, clock) = (SystemClock::new(), HybridClock::new(1));
    let tenant = Tenant::new("acme").expect("a name");
    let agent = Address::new("researcher", "alice").expect("names");
    let task = TaskName::new("01a200f1a0f1739cbce61c39943971ea").expect("a name");
    let mut nanos = Vec::with_capacity(usize::try_from(rate * lasts.as_secs()).expect("it fits"));
    let (began, each_tick) = (Instant::now(), rate * TICK.as_millis() as u64 / 1_000);
    for tick in 1..=u32::try_from(lasts.as_millis()).expect("it fits") {
        for number in 0..each_tick {
            let level = match nanos.len() % 100 {
                99 => ObservationLevel::Error,
                n if n % 2 == 0 => ObservationLevel::Debug,
                _ => ObservationLevel::Info,
            };
            let observation = Observation::new(level, "turn.finished", clock.stamp(wall.unix_micros()))
                .with_tenant(tenant.clone())
                .with_agent(agent.clone())
                .with_task(task.clone())
                .with_trace(TraceId::from_bytes([7; 16]))
                .with_field("message", "01a200f1-a0f1-739c-bce6-1c39943971ea")
                .with_field("steps", number);
            let begins = Instant::now();
            log.emit(observation);
            nanos.push(u32::try_from(begins.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
        std::thread::sleep((began + tick * TICK).saturating_duration_since(Instant::now()));
    }
    nanos
}

fn clock_nanos() -> u128 {
    let mut nanos: Vec<_> = (0..100_000).map(|_| Instant::now().elapsed().as_nanos()).collect();
    nanos.sort_unstable();
    nanos[nanos.len() / 2]
}

fn dropped(dropped: &DroppedObservations) -> String {
    ObservationLevel::ALL.map(|level| dropped.of(level).to_string()).join("/")
}
