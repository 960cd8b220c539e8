//! Commits on SQLite beside the same rows written by hand, the device's own sync, and a buffered commit.
//!
//! `cargo bench --bench store [-- SECONDS ROUNDS]`; the folder is `TMPDIR`'s.

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
    buffered_p50_micros: f64,
    buffered_p99_micros: f64,
    disk_commits_a_batch: f64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let numbers: Vec<f64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let seconds = Duration::from_secs_f64(numbers.first().copied().unwrap_or(2.0));
    let rounds = numbers.get(1).map_or(5, |rounds| *rounds as usize);
    let mut measured = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        measured.push(round(seconds).await?);
    }
    let median = |of: fn(&Round) -> f64| {
        let mut values: Vec<f64> = measured.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!("median of {rounds} rounds of {seconds:?} each, commits of 1 KiB");
    println!("{:<44}{:>12}", "fdatasync of 4 KiB, us", format!("{:.0}", median(|r| r.sync_micros)));
    println!("{:<44}{:>12}{:>12}{:>8}", "", "commits/s", "by hand/s", "ratio");
    line("disk, 64 writers", median(|r| r.disk), median(|r| r.hand_disk), median(|r| r.disk / r.hand_disk));
    line(
        "process, 64 writers",
        median(|r| r.process),
        median(|r| r.hand_process),
        median(|r| r.process / r.hand_process),
    );
    line(
        "process, 512 writers",
        median(|r| r.process_512),
        median(|r| r.hand_process_512),
        median(|r| r.process_512 / r.hand_process_512),
    );
    println!("{:<44}{:>12.1}", "commits for each sync, disk, 64 writers", median(|r| r.disk_commits_a_batch));
    println!(
        "{:<44}{:>12}",
        "commit seen by the agent, buffered, us",
        format!("p50 {:.1} p99 {:.1}", median(|r| r.buffered_p50_micros), median(|r| r.buffered_p99_micros))
    );
    Ok(())
}

fn line(what: &str, ours: f64, theirs: f64, ratio: f64) {
    println!("{what:<44}{ours:>12.0}{theirs:>12.0}{ratio:>8.2}");
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
    (round.buffered_p50_micros, round.buffered_p99_micros) = buffered(&at("s4.db")).await?;
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

/// The rows that the store writes for a commit, with nothing asked and nothing checked.
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
        "INSERT INTO checkpoints (thread, version, commit_id, incarnation, counter, codec, schema_version, \
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
    let mut owners = Vec::with_capacity(writers);
    for number in 0..writers {
        owners.push(first(&store, number, level).await?);
    }
    let before = store.stats();
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
    let elapsed = start.elapsed().as_secs_f64();
    let after = store.stats();
    store.close().await?;
    let commits = (after.commits - before.commits) as f64;
    Ok((commits / elapsed, commits / (after.batches - before.batches) as f64))
}

async fn buffered(path: &Path) -> Result<(f64, f64), Failure> {
    let store = SqliteCheckpointStore::open(path).await?;
    let mut commit = first(&store, 0, Durability::Buffered).await?;
    let mut micros = Vec::with_capacity(5_000);
    for _ in 0..5_000 {
        commit = next(commit);
        let repeated = commit.clone();
        let start = Instant::now();
        store.commit(repeated).await?;
        micros.push(start.elapsed().as_secs_f64() * 1e6);
        // An agent does something between its commits; a writer that is asked without a pause pushes back.
        tokio::time::sleep(Duration::from_micros(50)).await;
    }
    store.close().await?;
    micros.sort_by(f64::total_cmp);
    Ok((micros[micros.len() / 2], micros[micros.len() * 99 / 100]))
}

async fn first(store: &SqliteCheckpointStore, number: usize, level: Durability) -> Result<Commit, Failure> {
    let thread = AgentId::new(&Tenant::new("acme")?, "bench", &format!("agent-{number}"))?;
    let claim = store.claim(ClaimRequest::new(thread.clone())).await?;
    let mut commit = Commit::new(new_id(), thread, claim.epoch, Version(0), StateHeader::json(1));
    commit.level = level;
    commit.fields.push(FieldWrite::Replace { name: "notes".into(), value: vec![b'x'; ROW_BYTES].into() });
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
