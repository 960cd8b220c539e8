//! Commits on SQLite beside the same rows written by hand, the device's own sync, and buffered commits.
//!
//! `cargo bench --bench store [-- SECONDS ROUNDS [postgres]]`; the folder is `TMPDIR`'s. LangGraph's savers are measured by
//! `benches/peers/langgraph_sqlite.py`.
//!
//! *The store*: so many writers, a tokio task and a thread of the store each. Each replaces its state of 1 KiB and waits
//! for the answer before its next commit, on a runtime with a worker a core. Configuration and retention are the
//! defaults, so old checkpoints are pruned meanwhile.
//!
//! *By hand*: one loop on one connection writes the rows of the same table, of the same bytes, under the same indexes and
//! pragmas, by one prepared statement within `BEGIN IMMEDIATE` and `COMMIT`. A transaction holds one row for each writer,
//! the most that so many waiting writers can give; the store's hold fewer, as not all have come back when one begins.
//! Nobody waits for these rows, nothing is checked, encoded or pruned, and no statement journal is kept: this is how fast
//! SQLite takes the rows, not what a host would get that had to answer its writers.
//!
//! *PostgreSQL* (`--features store-postgres`, the server by `AGENTSCALE_TEST_POSTGRES_URL`, PgBouncer by
//! `AGENTSCALE_TEST_PGBOUNCER_URL`; `cargo xtask servers -- cargo bench …` starts both): the same with states of 4 KiB.
//! By hand, so many connections share the 64 rows of a round and write those of both tables, one statement each.
//!
//! *Local*: see `benches/support/store_logged.rs`.
//!
//! *Buffered*: each agent is a task, as in a runtime; what is timed is its wait in `commit`. It sleeps between two
//! commits, for tokio's shortest time of about a millisecond.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentscale_core::checkpoint::{
    ClaimRequest, Commit, CommitId, Durability, FieldWrite, StateHeader, Version,
};
use agentscale_core::{AgentId, CheckpointStore, MessageId, Tenant};
use agentscale_store::SqliteCheckpointStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, SqliteConnection};

#[cfg(feature = "store-postgres")]
#[path = "support/store_postgres.rs"]
mod postgres;

#[path = "support/store_logged.rs"]
mod logged;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROW_BYTES: usize = 1_024;
const COLUMNS: usize = 17;

/// What one round measured, in commits a second, or microseconds where it says so.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    sync_micros: f64,
    hand_disk: f64,
    disk: f64,
    hand_process: f64,
    process: f64,
    hand_process_512: f64,
    process_512: f64,
    buffered: [Waited; 2],
    local: logged::Acknowledged,
    disk_commits_a_batch: f64,
}

/// How long commits kept their agents, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Waited {
    p50: f64,
    p99: f64,
}

impl Waited {
    fn of(mut micros: Vec<f64>) -> Self {
        micros.sort_by(f64::total_cmp);
        Self { p50: micros[micros.len() / 2], p99: micros[micros.len() * 99 / 100] }
    }
}

/// Agents that commit *buffered* at the same time.
const BUFFERED_AGENTS: [usize; 2] = [1, 64];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let numbers: Vec<f64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let seconds = Duration::from_secs_f64(numbers.first().copied().unwrap_or(2.0));
    let rounds = numbers.get(1).map_or(5, |rounds| *rounds as usize);
    if !std::env::args().any(|argument| argument == "postgres") {
        let mut measured = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            measured.push(round(seconds).await?);
        }
        report(rounds, seconds, &measured);
    }
    #[cfg(feature = "store-postgres")]
    postgres::run(seconds, rounds).await?;
    #[cfg(not(feature = "store-postgres"))]
    println!("left out: PostgreSQL, as the feature store-postgres is off");
    Ok(())
}

fn report(rounds: usize, seconds: Duration, measured: &[Round]) {
    let median = |of: &dyn Fn(&Round) -> f64| {
        let mut values: Vec<f64> = measured.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!("median of {rounds} rounds of {seconds:?} each, commits of 1 KiB");
    println!("{:<40}{:>12.0}", "fdatasync of 4 KiB, us", median(&|r| r.sync_micros));
    println!("{:<40}{:>12}{:>12}{:>8}  asked", "", "commits/s", "by hand/s", "ratio");
    let line = |what: &str, asked: &str, ours: fn(&Round) -> f64, theirs: fn(&Round) -> f64| {
        let ratio = median(&|r| ours(r) / theirs(r));
        println!("{what:<40}{:>12.0}{:>12.0}{ratio:>8.2}  {asked}", median(&ours), median(&theirs));
    };
    line("disk, 64 writers", "ratio >= 0.8, aim 20000/s", |r| r.disk, |r| r.hand_disk);
    line("process, 64 writers", ">= 25000/s", |r| r.process, |r| r.hand_process);
    line("process, 512 writers", ">= 35000/s", |r| r.process_512, |r| r.hand_process_512);
    println!("{:<40}{:>12.1}", "commits a sync, disk, 64 writers", median(&|r| r.disk_commits_a_batch));
    for (at, agents) in BUFFERED_AGENTS.into_iter().enumerate() {
        let (p50, p99) = (median(&|r| r.buffered[at].p50), median(&|r| r.buffered[at].p99));
        let what = format!("buffered, {agents} agents, us");
        println!("{what:<40}{:>12}{:>20}  p99 <= 20", format!("p50 {p50:.1}"), format!("p99 {p99:.1}"));
    }
    for (what, of) in [("p50", (|it| it.p50) as fn(&Waited) -> f64), ("p99", |it| it.p99)] {
        let (log, sync) = (median(&|r| of(&r.local.log)), median(&|r| of(&r.local.sync)));
        let ratio = median(&|r| (of(&r.local.log) - 200.0) / of(&r.local.sync));
        let what = format!("local, log and sync, us, {what}");
        println!("{what:<40}{log:>12.0}{sync:>12.0}{ratio:>8.2}  (log - 200) / sync <= 2.2");
    }
}

async fn round(time: Duration) -> Result<Round, Failure> {
    let folder = tempfile::tempdir()?;
    let mut round = Round { sync_micros: sync_probe(folder.path(), time / 4)?, ..Round::default() };
    let at = |name: &str| folder.path().join(name);
    round.hand_disk = by_hand(&at("h1.db"), 64, SqliteSynchronous::Full, time).await?;
    (round.disk, round.disk_commits_a_batch) = commits(&at("s1.db"), 64, Durability::Disk, time).await?;
    round.hand_process = by_hand(&at("h2.db"), 64, SqliteSynchronous::Normal, time).await?;
    (round.process, _) = commits(&at("s2.db"), 64, Durability::Process, time).await?;
    round.hand_process_512 = by_hand(&at("h3.db"), 512, SqliteSynchronous::Normal, time).await?;
    (round.process_512, _) = commits(&at("s3.db"), 512, Durability::Process, time).await?;
    for (waited, agents) in round.buffered.iter_mut().zip(BUFFERED_AGENTS) {
        *waited = buffered(&at(&format!("b{agents}.db")), agents).await?;
    }
    round.local = logged::acknowledged(folder.path(), time).await?;
    Ok(round)
}

fn sync_probe(folder: &Path, time: Duration) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("probe"))?;
    let start = Instant::now();
    let mut syncs = 0_u32;
    while start.elapsed() < time {
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(syncs))
}

/// Rows a second, written by hand.
async fn by_hand(path: &Path, rows: usize, level: SqliteSynchronous, time: Duration) -> Result<f64, Failure> {
    SqliteCheckpointStore::open(path).await?.close().await?;
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(level)
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "4000")
        .disable_statement_logging()
        .connect()
        .await?;
    let row = format!("({})", vec!["?"; COLUMNS].join(","));
    let text: Arc<str> = format!(
        "INSERT OR ROLLBACK INTO checkpoints (thread, version, commit_id, incarnation, counter, codec, schema_version, \
         stamp_time, stamp_node, written, base, base_bytes, chain_bytes, ghost, tags, origin, delta) VALUES {}",
        vec![row; rows].join(",")
    )
    .into();
    let start = Instant::now();
    let mut version = 0_i64;
    while start.elapsed() < time {
        version += 1;
        insert(&mut connection, text.clone(), rows, version).await?;
    }
    let rate = version as f64 * rows as f64 / start.elapsed().as_secs_f64();
    connection.close().await?;
    Ok(rate)
}

async fn insert(
    connection: &mut SqliteConnection,
    text: Arc<str>,
    rows: usize,
    version: i64,
) -> Result<(), Failure> {
    connection.execute("BEGIN IMMEDIATE").await?;
    let mut query = sqlx::query(AssertSqlSafe(text));
    for thread in 0..rows {
        let id = *MessageId::new(version as u64).as_uuid();
        query = query
            .bind(thread as i64)
            .bind(version)
            .bind(id.as_bytes().to_vec())
            .bind(0)
            .bind(1)
            .bind("json")
            .bind(1)
            .bind(version)
            .bind(1)
            .bind(version)
            .bind(version)
            .bind(ROW_BYTES as i64)
            .bind(ROW_BYTES as i64)
            .bind(0)
            .bind(None::<&str>)
            .bind(None::<&str>)
            .bind(vec![b'x'; ROW_BYTES]);
    }
    query.execute(&mut *connection).await?;
    connection.execute("COMMIT").await?;
    Ok(())
}

/// Commits a second of so many agents, each waiting for its own, and commits for each transaction.
async fn commits(
    path: &Path,
    writers: usize,
    level: Durability,
    time: Duration,
) -> Result<(f64, f64), Failure> {
    let store = SqliteCheckpointStore::open(path).await?;
    let owners = owners(&store, writers, level, ROW_BYTES).await?;
    let before = store.stats();
    let elapsed = commit_again(&store, owners, time).await?;
    let after = store.stats();
    store.close().await?;
    let commits = (after.commits - before.commits) as f64;
    Ok((commits / elapsed, commits / (after.batches - before.batches) as f64))
}

async fn buffered(path: &Path, agents: usize) -> Result<Waited, Failure> {
    const COMMITS: usize = 6_400;
    let store = SqliteCheckpointStore::open(path).await?;
    let mut tasks = Vec::with_capacity(agents);
    for number in 0..agents {
        let mut commit = first(&store, number, Durability::Buffered, ROW_BYTES).await?;
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut micros = Vec::with_capacity(COMMITS / agents);
            for _ in 0..COMMITS / agents {
                commit = next(commit);
                let sent = commit.clone();
                let start = Instant::now();
                store.commit(sent).await?;
                micros.push(start.elapsed().as_secs_f64() * 1e6);
                // An agent does something between its commits; a writer that is asked without a pause pushes back.
                tokio::time::sleep(Duration::from_micros(50)).await;
            }
            Ok::<_, agentscale_core::Error>(micros)
        }));
    }
    let mut micros = Vec::with_capacity(COMMITS);
    for task in tasks {
        micros.extend(task.await??);
    }
    store.close().await?;
    Ok(Waited::of(micros))
}

/// The first commits of so many agents, with states of so many bytes.
async fn owners(
    store: &impl CheckpointStore,
    agents: usize,
    level: Durability,
    bytes: usize,
) -> Result<Vec<Commit>, Failure> {
    let mut owners = Vec::with_capacity(agents);
    for number in 0..agents {
        owners.push(first(store, number, level, bytes).await?);
    }
    Ok(owners)
}

/// Each commits again as soon as it is answered; gives the seconds that it took.
async fn commit_again(
    store: &(impl CheckpointStore + Clone),
    owners: Vec<Commit>,
    time: Duration,
) -> Result<f64, Failure> {
    let start = Instant::now();
    let agents: Vec<_> = owners
        .into_iter()
        .map(|mut commit| {
            let store = store.clone();
            tokio::spawn(async move {
                while start.elapsed() < time {
                    commit = next(commit);
                    store.commit(commit.clone()).await?;
                }
                Ok::<_, agentscale_core::Error>(())
            })
        })
        .collect();
    for agent in agents {
        agent.await??;
    }
    Ok(start.elapsed().as_secs_f64())
}

async fn first(
    store: &impl CheckpointStore,
    number: usize,
    level: Durability,
    bytes: usize,
) -> Result<Commit, Failure> {
    let thread = AgentId::new(&Tenant::new("acme")?, "bench", &format!("agent-{number}"))?;
    let claim = store.claim(ClaimRequest::new(thread.clone())).await?;
    let mut commit = Commit::new(new_id(), thread, claim.epoch, Version(0), StateHeader::json(1));
    commit.level = level;
    commit.fields.push(FieldWrite::Replace { name: "notes".into(), value: vec![b'x'; bytes].into() });
    store.commit(commit.clone()).await?;
    Ok(commit)
}

fn next(mut commit: Commit) -> Commit {
    commit.id = new_id();
    commit.expected = Version(commit.expected.0 + 1);
    commit
}

fn new_id() -> CommitId {
    CommitId(*MessageId::new(1).as_uuid())
}
