//! Commits on PostgreSQL beside the same rows written by hand, and the round trips of a commit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agentscale_core::checkpoint::Durability;
use agentscale_core::time::SystemClock;
use agentscale_core::{CheckpointStore, MessageId};
use agentscale_store::{PostgresCheckpointConfig, PostgresCheckpointStore};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{Failure, commit_again, first, new_id, next, owners};

const DIRECT: &str = "AGENTSCALE_TEST_POSTGRES_URL";
const POOLED: &str = "AGENTSCALE_TEST_PGBOUNCER_URL";
const ROW_BYTES: usize = 4_096;
const AGENTS: usize = 64;

/// What one round measured, in commits or rows a second.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    hand: [f64; 3],
    /// By the connections that write, with how many commits shared a statement.
    direct: [(f64, f64); 3],
    /// As by hand: nothing is pruned.
    unpruned: [f64; 3],
    pooled: f64,
}

/// Runs where a server is named, and says so where none is.
pub(crate) async fn run(seconds: Duration, rounds: usize) -> Result<(), Failure> {
    let Ok(url) = std::env::var(DIRECT) else {
        println!("left out: PostgreSQL, as {DIRECT} names no server");
        return Ok(());
    };
    let pooled = std::env::var(POOLED).ok();
    let mut measured = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        measured.push(round(&url, pooled.as_deref(), seconds).await?);
    }
    let median = |of: &dyn Fn(&Round) -> f64| {
        let mut values: Vec<f64> = measured.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!("PostgreSQL, commits of 4 KiB by {AGENTS} agents, synchronous commit on");
    for (at, connections) in CONNECTIONS.into_iter().enumerate() {
        println!("{:<40}{:>12.0}/s", format!("by hand, {connections} connections"), median(&|r| r.hand[at]));
    }
    let best = |round: &Round| round.hand.into_iter().fold(0.0, f64::max);
    for (at, writers) in WRITERS.into_iter().enumerate() {
        let ratio = median(&|r| r.direct[at].0 / best(r));
        let together = median(&|r| r.direct[at].1);
        let name = format!("store, {writers} writers");
        println!("{name:<40}{:>12.0}/s{ratio:>8.2}{together:>8.1} a statement", median(&|r| r.direct[at].0));
    }
    for (at, writers) in WRITERS.into_iter().enumerate() {
        let ratio = median(&|r| r.unpruned[at] / best(r));
        let name = format!("store, {writers} writers, nothing pruned");
        println!(
            "{name:<40}{:>12.0}/s{ratio:>8.2}  asked >= 5000/s, ratio >= 0.8",
            median(&|r| r.unpruned[at])
        );
    }
    println!("{:<40}{:>12.1}", "round trips of a lone commit", trips(&url).await?);
    if let Some(pooled) = pooled {
        println!("{:<40}{:>12.0}/s", "store behind PgBouncer", median(&|r| r.pooled));
        println!("{:<40}{:>12.1}", "round trips of a lone commit there", trips(&pooled).await?);
    } else {
        println!("left out: PgBouncer, as {POOLED} names none");
    }
    Ok(())
}

/// Connections over which the rows of a round are spread by hand.
const CONNECTIONS: [usize; 3] = [1, 2, 4];

/// Connections by which the store writes; two are the default.
const WRITERS: [u32; 3] = [1, 2, 4];

async fn round(url: &str, pooled: Option<&str>, time: Duration) -> Result<Round, Failure> {
    let mut round = Round::default();
    let schema = format!("bench_{}", new_id().0.simple());
    for (rate, connections) in round.hand.iter_mut().zip(CONNECTIONS) {
        open(url, in_schema(&schema)).await?.close().await?;
        *rate = by_hand(url, &schema, connections, time).await?;
        drop_schema(url, &schema).await?;
    }
    for (measured, writers) in round.direct.iter_mut().zip(WRITERS) {
        let mut config = in_schema(&schema);
        config.writers = writers;
        *measured = commits(url, config, time).await?;
        drop_schema(url, &schema).await?;
    }
    for (measured, writers) in round.unpruned.iter_mut().zip(WRITERS) {
        let mut config = in_schema(&schema);
        config.writers = writers;
        config.retention = None;
        (*measured, _) = commits(url, config, time).await?;
        drop_schema(url, &schema).await?;
    }
    if let Some(pooled) = pooled {
        (round.pooled, _) = commits(pooled, in_schema(&schema), time).await?;
        drop_schema(url, &schema).await?;
    }
    Ok(round)
}

fn in_schema(schema: &str) -> PostgresCheckpointConfig {
    let mut config = PostgresCheckpointConfig::default();
    config.database.schema = schema.to_owned();
    config
}

async fn open(url: &str, config: PostgresCheckpointConfig) -> Result<PostgresCheckpointStore, Failure> {
    Ok(PostgresCheckpointStore::open_with(url, config, Arc::new(SystemClock::new())).await?)
}

async fn connect(url: &str) -> Result<PgConnection, Failure> {
    let options = url.parse::<PgConnectOptions>()?.disable_statement_logging();
    Ok(options.options([("jit", "off"), ("plan_cache_mode", "force_generic_plan")]).connect().await?)
}

async fn drop_schema(url: &str, schema: &str) -> Result<(), Failure> {
    let mut connection = connect(url).await?;
    let sql = format!("DROP SCHEMA {schema} CASCADE; CHECKPOINT");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Rows a second of both tables that a commit writes, by one prepared statement on each connection: nobody waits for
/// them, and nothing is checked, encoded or pruned.
async fn by_hand(url: &str, schema: &str, connections: usize, time: Duration) -> Result<f64, Failure> {
    let rows = AGENTS / connections;
    let mut tasks = Vec::with_capacity(connections);
    let start = Instant::now();
    for place in 0..connections {
        let mut connection = connect(url).await?;
        let first = (place * rows) as i64 + 1;
        let threads: Vec<i64> = (first..first + rows as i64).collect();
        let keys: Vec<String> = threads.iter().map(|thread| format!("agent-{thread}")).collect();
        let sql = format!(
            "INSERT INTO {schema}.threads (tenant, type, key, id) SELECT 'acme', 'bench', * FROM unnest($1, $2)"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(&keys).bind(&threads).execute(&mut connection).await?;
        let sql: Arc<str> = format!(
            "WITH i AS MATERIALIZED (SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[]) AS i(thread, id, delta)), \
             moved AS (UPDATE {schema}.threads t SET version = $4, tip = i.id, base = $4, base_bytes = length(i.delta), \
               chain_bytes = length(i.delta) FROM i WHERE t.id = i.thread) \
             INSERT INTO {schema}.checkpoints (tenant, thread, version, commit_id, incarnation, counter, codec, \
               schema_version, stamp_time, stamp_node, written, base, delta) \
             SELECT 'acme', thread, $4, id, 0, 1, 'json', 1, $4, 1, $4, $4, delta FROM i"
        )
        .into();
        tasks.push(tokio::spawn(async move {
            let mut version = 0_i64;
            while start.elapsed() < time {
                version += 1;
                let ids: Vec<_> = threads.iter().map(|_| new_id().0).collect();
                let deltas = vec![vec![b'x'; ROW_BYTES + 13]; rows];
                sqlx::query(AssertSqlSafe(sql.clone()))
                    .bind(&threads)
                    .bind(&ids)
                    .bind(&deltas)
                    .bind(version)
                    .execute(&mut connection)
                    .await?;
            }
            connection.close().await?;
            Ok::<_, sqlx::Error>(version as f64 * rows as f64)
        }));
    }
    let mut written = 0.0;
    for task in tasks {
        written += task.await??;
    }
    Ok(written / start.elapsed().as_secs_f64())
}

/// Commits a second of agents that each wait for their own, and commits for each statement.
async fn commits(url: &str, config: PostgresCheckpointConfig, time: Duration) -> Result<(f64, f64), Failure> {
    let store = open(url, config).await?;
    let owners = owners(&store, AGENTS, Durability::Disk, ROW_BYTES).await?;
    let before = store.stats();
    let elapsed = commit_again(&store, owners, time).await?;
    let after = store.stats();
    store.close().await?;
    let commits = (after.commits - before.commits) as f64;
    Ok((commits / elapsed, commits / (after.batches - before.batches) as f64))
}

/// Round trips of one commit, counted between the store and its server: how often the store waits for an answer.
async fn trips(url: &str) -> Result<f64, Failure> {
    const COMMITS: u32 = 50;
    let options: PgConnectOptions = url.parse()?;
    let server = format!("{}:{}", options.get_host(), options.get_port());
    let counted = Arc::<AtomicU64>::default();
    let relay = TcpListener::bind("127.0.0.1:0").await?;
    let address = relay.local_addr()?;
    let task = tokio::spawn(serve(relay, server, counted.clone()));
    let schema = format!("bench_{}", MessageId::new(1).as_uuid().simple());
    let store = open(&redirect(url, &options, address), in_schema(&schema)).await?;
    let mut commit = first(&store, 0, Durability::Disk, ROW_BYTES).await?;
    let before = counted.load(Ordering::Relaxed);
    for _ in 0..COMMITS {
        commit = next(commit);
        store.commit(commit.clone()).await?;
    }
    let trips = counted.load(Ordering::Relaxed) - before;
    store.close().await?;
    task.abort();
    let direct = std::env::var(DIRECT)?;
    drop_schema(&direct, &schema).await?;
    Ok(trips as f64 / f64::from(COMMITS))
}

fn redirect(url: &str, options: &PgConnectOptions, to: SocketAddr) -> String {
    url.replacen(&format!("{}:{}", options.get_host(), options.get_port()), &to.to_string(), 1)
}

async fn serve(relay: TcpListener, server: String, counted: Arc<AtomicU64>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = relay.accept().await {
        let (server, counted) = (server.clone(), counted.clone());
        connections.spawn(async move {
            // A connection that ends is all that can happen here.
            let _ = forward(client, &server, &counted).await;
        });
    }
}

/// Counts each time that the client speaks after the server did.
async fn forward(mut client: TcpStream, server: &str, counted: &AtomicU64) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut server_spoke = true;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = read?;
                if bytes == 0 { return Ok(()) }
                counted.fetch_add(u64::from(server_spoke), Ordering::Relaxed);
                server_spoke = false;
                server.write_all(&asked[..bytes]).await?;
            }
            read = server.read(&mut answered) => {
                let bytes = read?;
                if bytes == 0 { return Ok(()) }
                server_spoke = true;
                client.write_all(&answered[..bytes]).await?;
            }
        }
    }
}
