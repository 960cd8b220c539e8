//! What schedules cost: ticks over 100,000 of them, and events that trigger jobs.
//!
//! `cargo bench --bench schedules --features store-schedules`; with `--features store-schedules,store-postgres`, and a server
//! that `AGENTSCALE_TEST_POSTGRES_URL` names, on PostgreSQL too: `cargo xtask servers -- cargo bench --bench schedules
//! --features store-schedules,store-postgres`.
//!
//! *A tick* with so many due of all that are stored: medians over rounds, jobs and history included. *Triggers*: events of one
//! topic through a transport and a scheduler, from the first one that is published until the last one's job is enqueued.
//! Beside each stands what the device takes to sync 4 KiB, measured in turn.

#[allow(dead_code, reason = "shared with benchmarks that compare")]
#[path = "support/table.rs"]
mod table;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentscale_core::schedule::{JobTemplate, PutSchedule, Schedule, ScheduleKey, Timing};
use agentscale_core::time::SystemClock;
use agentscale_core::transport::DirectTransport;
use agentscale_core::{
    AgentMessage, Clock, Destination, HybridClock, ScheduleStore, Tenant, Topic, Transport,
};
use agentscale_runtime::Scheduler;
use agentscale_store::Stores;
#[cfg(feature = "store-postgres")]
use sqlx::ConnectOptions;
use sqlx::{AssertSqlSafe, Connection};
use table::{Required, head, line};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const STORED: usize = 100_000;
const ROUNDS: usize = 51;
const EVENTS: usize = 20_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    head();
    let folder = tempfile::tempdir()?;
    let stores = Stores::sqlite(folder.path()).await?;
    let path = folder.path().join("queue.db");
    let sql = async move |text: String| -> Result<(), Failure> {
        let url = format!("sqlite://{}", path.display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await?;
        sqlx::raw_sql("PRAGMA busy_timeout = 10000").execute(&mut connection).await?;
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    };
    measure("SQLite", "", "", stores.schedules().await?, sql, folder.path()).await?;
    stores.close().await?;
    #[cfg(feature = "store-postgres")]
    postgres(folder.path()).await?;
    #[cfg(not(feature = "store-postgres"))]
    println!("left out: PostgreSQL, as the feature store-postgres is off");
    Ok(())
}

#[cfg(feature = "store-postgres")]
async fn postgres(folder: &Path) -> Result<(), Failure> {
    use agentscale_store::postgres::{Postgres, PostgresConfig};
    use agentscale_store::{PostgresJobQueue, PostgresScheduleStore};

    let Ok(url) = std::env::var("AGENTSCALE_TEST_POSTGRES_URL") else {
        println!("left out: PostgreSQL, as AGENTSCALE_TEST_POSTGRES_URL is not set");
        return Ok(());
    };
    let mut config = PostgresConfig::default();
    config.schema = format!("bench_{}", std::process::id());
    let queue = PostgresJobQueue::on(Postgres::open(&url, &config, 4).await?).await?;
    let store = Arc::new(PostgresScheduleStore::on(queue.clone()).await?);
    let sql = async move |text: String| -> Result<(), Failure> {
        let mut connection = url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    };
    let schema = config.schema.clone();
    let copies = format!("FROM {schema}.schedules, generate_series(2, {STORED}) AS n(number)");
    measure("PostgreSQL", &format!("{schema}."), &copies, store, &sql, folder).await?;
    queue.close().await?;
    sql(format!("DROP SCHEMA {schema} CASCADE")).await
}

/// `sql` runs a text on tables that stand behind `schema`; `copies` is where copies of the first schedule come from.
async fn measure(
    name: &str,
    schema: &str,
    copies: &str,
    store: Arc<dyn ScheduleStore>,
    sql: impl AsyncFn(String) -> Result<(), Failure>,
    folder: &Path,
) -> Result<(), Failure> {
    let (now, tenant) = (SystemClock::new().unix_micros(), Tenant::new("acme")?);
    let template = || -> Result<_, Failure> {
        Ok(JobTemplate::new("work".try_into()?, "test".try_into()?, r#"{"report":"daily"}"#))
    };
    let first = ScheduleKey::new(&tenant, "0")?;
    let timing = Timing::cron("0 * * * *", "Europe/Berlin");
    store.put(PutSchedule::new(Schedule::new(first, timing, template()?))).await?;
    let copies = if copies.is_empty() {
        format!(
            "FROM schedules, (WITH RECURSIVE n(number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM n \
             WHERE number < {STORED}) SELECT number FROM n) AS n"
        )
    } else {
        copies.to_owned()
    };
    // Over a day that begins in an hour.
    sql(format!(
        "INSERT INTO {schema}schedules (tenant, name, revision, incarnation, counter, definition, payload, paused, \
         next_run_at, fired, late, missed, overlapped) SELECT tenant, CAST(number AS text), revision, 0, counter, \
         definition, payload, paused, {now} + 3600000000 + number * 864000, 0, 0, 0, 0 {copies}"
    ))
    .await?;
    for due in [0, 28, 256] {
        let (mut ticks, mut syncs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            // Those that were fired have their next time within the hour; others are taken.
            sql(format!(
                "UPDATE {schema}schedules SET next_run_at = {now} WHERE id IN (SELECT id FROM {schema}schedules \
                 ORDER BY next_run_at DESC LIMIT {due})"
            ))
            .await?;
            let began = Instant::now();
            let tick = store.tick(256).await?;
            ticks.push(began.elapsed());
            if tick.fired.len() != due {
                return Err(format!("{} of {due} were fired", tick.fired.len()).into());
            }
            syncs.push(sync(folder)?);
        }
        let (tick, sync) = (median(ticks), median(syncs));
        let what = format!("{name}: a tick with {due} due of {STORED}, ms");
        let tick = tick.as_secs_f64() * 1e3;
        line(&what, &format!("{tick:.2} ms"), &format!("sync {sync:.1?}"), tick, Required::AtMost(50.0));
    }
    let topic = Topic::new("orders")?;
    let waiting = ScheduleKey::new(&tenant, "waiting")?;
    let timing = Timing::Event { topic: topic.clone() };
    store.put(PutSchedule::new(Schedule::new(waiting.clone(), timing, template()?))).await?;
    let rate = triggers(&store, &waiting, (tenant, topic)).await?;
    let what = format!("{name}: triggers of {EVENTS} events, 1/s");
    line(
        &what,
        &format!("{rate:.0}/s"),
        &format!("sync {:.1?}", sync(folder)?),
        rate,
        Required::AtLeast(1e3),
    );
    Ok(())
}

async fn triggers(
    store: &Arc<dyn ScheduleStore>,
    waiting: &ScheduleKey,
    (tenant, topic): (Tenant, Topic),
) -> Result<f64, Failure> {
    let transport = Arc::new(DirectTransport::default());
    let scheduler = Scheduler::new(store.clone()).with_transport(transport.clone()).start()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (clock, stamps) = (SystemClock::new(), HybridClock::new(1));
    let began = Instant::now();
    for number in 0..EVENTS {
        // The mailbox of a topic holds 1,024.
        while scheduler.stats().events + 1_000 < number as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let to = Destination::Topic(topic.clone());
        let stamp = stamps.stamp(clock.unix_micros());
        transport.publish(AgentMessage::event(tenant.clone(), to, number, stamp)).await?;
    }
    while scheduler.stats().events < EVENTS as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let rate = EVENTS as f64 / began.elapsed().as_secs_f64();
    scheduler.close().await;
    let fired = store.get(waiting).await?.map(|info| info.counts.fired);
    if fired != Some(EVENTS as u64) {
        return Err(format!("{fired:?} of {EVENTS} events have a job").into());
    }
    Ok(rate)
}

fn sync(folder: &Path) -> Result<Duration, Failure> {
    let mut file = File::create(folder.join("probe"))?;
    let began = Instant::now();
    file.write_all(&[7; 4_096])?;
    file.sync_data()?;
    Ok(began.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
