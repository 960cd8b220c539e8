//! Jobs on PostgreSQL: end to end and when idle, directly and behind PgBouncer, and while a snapshot is held.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::JobQueue;
use agentscale_store::{PostgresJobConfig, PostgresJobQueue};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};

use crate::Failure;
use crate::queue::Bench;

const DIRECT: &str = "AGENTSCALE_TEST_POSTGRES_URL";
const POOLED: &str = "AGENTSCALE_TEST_PGBOUNCER_URL";
const SCHEMA: &str = "bench_queue";

/// Runs where a server is named, and says so where none is.
pub(crate) async fn run(jobs: usize, rounds: usize, held: Duration) -> Result<(), Failure> {
    let Ok(url) = std::env::var(DIRECT) else {
        println!("left out: PostgreSQL, as {DIRECT} names no server");
        return Ok(());
    };
    for (name, address) in [("PostgreSQL", Some(url.clone())), ("PgBouncer", std::env::var(POOLED).ok())] {
        let Some(address) = address else { continue };
        let queue = open(&address).await?;
        measure(name, Arc::new(queue.clone()), jobs, rounds).await?;
        queue.close().await?;
    }
    if held > Duration::ZERO {
        under_snapshot(&url, held).await?;
    }
    drop_schema(&url).await
}

/// Prints the median of the rounds, and what a job waits when there is nothing else to do.
async fn measure(name: &str, queue: Arc<dyn JobQueue>, jobs: usize, rounds: usize) -> Result<(), Failure> {
    let bench = Bench::start(queue);
    bench.rate(jobs / 10).await?;
    let mut rates = Vec::new();
    for _ in 0..rounds {
        rates.push(bench.rate(jobs).await?);
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "{:<40}{:>12.0}  asked >= 10000/s",
        format!("{name}, end to end, jobs/s"),
        rates[rates.len() / 2]
    );
    let waited = bench.pick_up(200).await?;
    let at = |percent: usize| waited[waited.len() * percent / 100].as_secs_f64() * 1e3;
    let name = format!("{name}, pick-up when idle, ms");
    println!("{name:<40}{:>12.2} p50{:>9.2} p99  asked p50 <= 10", at(50), at(99));
    Ok(())
}

async fn open(url: &str) -> Result<PostgresJobQueue, Failure> {
    drop_schema(url).await?;
    let mut config = PostgresJobConfig::default();
    config.database.schema = SCHEMA.to_owned();
    config.database.pool.max_connections = Some(16);
    Ok(PostgresJobQueue::open_with(url, config).await?)
}

async fn connect(url: &str) -> Result<PgConnection, Failure> {
    let options = url.parse::<PgConnectOptions>()?.extra_float_digits(None).disable_statement_logging();
    Ok(options.connect().await?)
}

async fn drop_schema(url: &str) -> Result<(), Failure> {
    let mut connection = connect(url).await?;
    let sql = format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

async fn under_snapshot(url: &str, held: Duration) -> Result<(), Failure> {
    let queue = open(url).await?;
    let bench = Bench::start(Arc::new(queue.clone()));
    let part = (held / 4).min(Duration::from_secs(30));
    bench.steady_rate(part / 4).await?;
    let clean = bench.steady_rate(part).await?;
    let mut reader = connect(url).await?;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id()")
        .execute(&mut reader)
        .await?;
    let first = bench.steady_rate(part).await?;
    let middle = bench.steady_rate(held.saturating_sub(part * 2)).await?;
    let last = bench.steady_rate(part).await?;
    let sql = format!(
        "SELECT sum(pg_total_relation_size(format('{SCHEMA}.jobs_%s', segment)))::bigint FROM generate_series(0, 8) segment"
    );
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut reader).await?;
    let megabytes = row.try_get::<i64, _>(0)? as f64 / 1e6;
    sqlx::raw_sql("COMMIT").execute(&mut reader).await?;
    reader.close().await?;
    println!("PostgreSQL, a snapshot held for {} s", held.as_secs());
    println!("{:<40}{clean:>12.0}/s", "  before");
    for (name, rate) in [("  at its begin", first), ("  in between", middle), ("  at its end", last)] {
        println!("{name:<40}{rate:>12.0}/s{:>8.2}  asked >= 0.8", rate / clean);
    }
    println!("{:<40}{megabytes:>9.0} MB", "  segments on the disk at its end");
    Ok(queue.close().await?)
}
