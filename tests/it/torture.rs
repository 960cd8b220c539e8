//! The quickstart, killed at random moments: what was committed stays, no turn runs twice, and the run ends.
//!
//! `AGENTSCALE_TORTURE_ROUNDS` sets the number of runs; each is killed several times.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agentscale::core::checkpoint::{CheckpointStore, LoadRequest, ThreadQuery};
use agentscale::prelude::*;
use agentscale::store::SqliteCheckpointStore;
use serde::Deserialize;

const AGENTS: usize = 150;
const KILLS: usize = 4;

#[derive(Deserialize)]
struct Report {
    answer: String,
    citations: Vec<String>,
    resumed_turns: u64,
    figures: Figures,
}

#[derive(Deserialize)]
struct Figures {
    researcher_turns: u64,
    passages: usize,
}

#[derive(Deserialize)]
struct Finding {
    shard: u32,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_quickstart_continues_without_losing_or_repeating_a_turn() {
    let rounds = std::env::var("AGENTSCALE_TORTURE_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap());
    let seed = fastrand::u64(..);
    println!("seed {seed}, {rounds} rounds");
    let mut random = fastrand::Rng::with_seed(seed);
    let usual = time_of_a_run();
    let mut all = Tally::default();
    for round in 0..rounds {
        let folder = tempfile::tempdir().unwrap();
        write_documents(folder.path());
        let tally = torture(folder.path(), round, usual, &mut random).await;
        all.killed += tally.killed;
        all.resumed += tally.resumed;
    }
    println!(
        "{} processes killed within {usual:?}; {} turns were taken over from them",
        all.killed, all.resumed
    );
    assert!(all.killed > 0, "every process ended before its kill");
}

/// What the kills met.
#[derive(Default)]
struct Tally {
    killed: u64,
    resumed: u64,
}

fn time_of_a_run() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    write_documents(folder.path());
    let began = Instant::now();
    let output = quickstart(folder.path(), usize::MAX).wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    began.elapsed()
}

/// Kills one run several times, lets it end, and checks what it left.
async fn torture(folder: &Path, round: usize, usual: Duration, random: &mut fastrand::Rng) -> Tally {
    let mut tally = Tally::default();
    let mut before = BTreeMap::new();
    for kill in 0..KILLS {
        let mut child = quickstart(folder, round);
        tokio::time::sleep(usual.mul_f64(random.f64())).await;
        let finished = child.try_wait().unwrap();
        child.kill().unwrap();
        let killed = child.wait_with_output().unwrap();
        assert!(finished.is_none() || killed.status.success(), "round {round}, kill {kill}: {killed:?}");
        let Some(tenant) = tenant(&killed.stderr) else {
            tally.killed += 1;
            continue;
        };
        let after = versions(folder, tenant).await;
        for (thread, version) in &before {
            assert!(after.get(thread) >= Some(version), "round {round}, kill {kill}: {thread} went back");
        }
        before = after;
        if finished.is_some() {
            break;
        }
        tally.killed += 1;
    }
    let output = quickstart(folder, round).wait_with_output().unwrap();
    assert!(output.status.success(), "round {round}: {}", output.status);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report.answer.contains("fencing token"), "round {round}: {}", report.answer);
    assert!(
        report.citations.iter().any(|citation| citation.starts_with("leases.md:")),
        "{:?}",
        report.citations
    );
    assert!(report.figures.passages >= AGENTS / 2);
    assert_eq!(
        report.figures.researcher_turns, AGENTS as u64,
        "round {round}: a turn ran twice or not at all"
    );
    check_effects(folder, tenant(&output.stderr).unwrap()).await;
    tally.resumed = report.resumed_turns;
    tally
}

/// Each finding stands once in the coordinator's state, and nothing is left to be sent.
async fn check_effects(folder: &Path, tenant: Tenant) {
    let store = open(folder).await.expect("a finished run has a store");
    let coordinators = ThreadQuery::new(tenant, 10).of_type("coordinator".try_into().unwrap());
    let page = store.threads(coordinators).await.unwrap();
    assert_eq!(page.threads.len(), 1);
    let tip = store.load(LoadRequest::tip(page.threads[0].thread.clone())).await.unwrap().unwrap();
    let field = tip.fields.iter().find(|field| field.name == "findings").unwrap();
    let lists = field.value.iter().chain(&field.appended);
    let findings: Vec<Finding> =
        lists.flat_map(|list| serde_json::from_slice::<Vec<Finding>>(list).unwrap()).collect();
    let shards: HashSet<_> = findings.iter().map(|finding| finding.shard).collect();
    assert_eq!((findings.len(), shards.len()), (AGENTS, AGENTS));
    assert!(store.pending_outbox(None, 10).await.unwrap().entries.is_empty());
    store.close().await.unwrap();
}

async fn versions(folder: &Path, tenant: Tenant) -> BTreeMap<AgentId, u64> {
    let Some(store) = open(folder).await else { return BTreeMap::new() };
    let page = store.threads(ThreadQuery::new(tenant, 1_000)).await.unwrap();
    let versions = page.threads.into_iter().map(|info| (info.thread, info.version.0)).collect();
    store.close().await.unwrap();
    versions
}

/// The tenant that a quickstart names on its standard error before it writes anything.
fn tenant(stderr: &[u8]) -> Option<Tenant> {
    let text = String::from_utf8_lossy(stderr);
    let name = text.lines().find_map(|line| line.split_once(" of tenant "))?.1;
    Some(Tenant::new(name.trim().to_owned()).unwrap())
}

async fn open(folder: &Path) -> Option<SqliteCheckpointStore> {
    let path = folder.join("state/checkpoints.db");
    if !path.exists() {
        return None;
    }
    Some(SqliteCheckpointStore::open(path).await.unwrap())
}

pub(crate) fn quickstart_binary() -> PathBuf {
    example_binary("quickstart")
}

pub(crate) fn example_binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(binary.exists(), "{} is missing: build it with `cargo build --examples`", binary.display());
    binary
}

fn quickstart(folder: &Path, round: usize) -> Child {
    let (docs, state) = (folder.join("docs"), folder.join("state"));
    let question = format!("What makes a frozen owner of a lease harmless, in round {round}?");
    Command::new(quickstart_binary())
        .args(["--json", "--agents", &AGENTS.to_string(), "--ask", &question])
        .arg("--docs")
        .arg(docs)
        .arg("--state")
        .arg(state)
        .env_remove("OPENAI_API_KEY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn write_documents(folder: &Path) {
    let docs = folder.join("docs");
    std::fs::create_dir(&docs).unwrap();
    let leases = "# Leases\n\nA lease gives liveness by time.\n\nA frozen owner of a lease is harmless where each write \
        carries a fencing token.\n";
    std::fs::write(docs.join("leases.md"), leases).unwrap();
    for chapter in 0..AGENTS {
        let text =
            format!("# Chapter {chapter}\n\nIt is about the weather of day {chapter}, and nothing else.\n");
        std::fs::write(docs.join(format!("chapter-{chapter}.md")), text).unwrap();
    }
}
