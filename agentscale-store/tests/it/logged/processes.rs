//! kill -9 between acknowledgement and flush, freeze and thaw. The other process is this test binary itself.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use agentscale_core::checkpoint::{ClaimRequest, LoadRequest};
use agentscale_core::testkit::FaultyStore;
use agentscale_core::{CheckpointStore, ErrorKind};
use agentscale_store::{
    LoggedCheckpointConfig, LoggedCheckpointStore, SqliteCheckpointConfig, SqliteCheckpointStore,
};

use super::scene::{Agent, lease};
use crate::processes::{acknowledgement, named_file, signal, start};
use crate::scene::{open_with, thread};
use crate::torture::rounds;

const KEYS: [&str; 4] = ["agent-0", "agent-1", "agent-2", "agent-3"];

/// Not a test of its own: what the other process runs, over a shared store that fails four times out of ten.
#[tokio::test]
async fn child_that_commits_locally() {
    let Some(folder) = named_file() else { return };
    let folder = Path::new(&folder);
    let shared = open_with(&folder.join("shared.db"), SqliteCheckpointConfig::default()).await;
    let lease = lease(Duration::from_secs(60)).await;
    let mut config = LoggedCheckpointConfig::default();
    config.flush_bound = Duration::from_secs(30);
    config.blocked_pause = Duration::from_millis(50);
    // Fewer than are kept for a host to look at.
    config.commits = 2_000;
    let faulty = FaultyStore::new(shared).with_chance(u64::from(std::process::id()), 0.4);
    let store = LoggedCheckpointStore::open(faulty, folder.join("log.db"), lease.watch(), config)
        .await
        .expect("the log opens");
    let agents = KEYS.into_iter().enumerate().map(|(number, key)| commit_until_refused(&store, number, key));
    futures::future::join_all(agents).await;
    store.close().await.expect("the log is closed");
}

async fn commit_until_refused(store: &impl CheckpointStore, number: usize, key: &'static str) {
    // Faults meet claims, too.
    let mut agent = loop {
        if let Ok(claim) = store.claim(ClaimRequest::new(thread(key))).await {
            break Agent { key, epoch: claim.epoch, version: claim.version() };
        }
    };
    loop {
        let commit = agent.next("[1]");
        loop {
            match agent.send(store, commit.clone()).await {
                Ok(_) => break println!("acknowledged {number} {}", agent.version.0),
                Err(error) if error.kind() == ErrorKind::Fenced => {
                    return println!("refused {number} {}", error.kind());
                }
                Err(_) => {}
            }
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_locally_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = [0; KEYS.len()];
    let mut waited = 0;
    for round in 0..rounds(4, 5) {
        let mut child = start("logged::processes::child_that_commits_locally", folder.path());
        let output = child.stdout.take().unwrap();
        for (seen, line) in BufReader::new(output).lines().enumerate() {
            if seen == 60 * (round % 4 + 1) {
                child.kill().unwrap();
            }
            // The last line may be cut off.
            let line = line.unwrap();
            if let Some((agent, version)) = acknowledgement(&line) {
                acknowledged[agent] = acknowledged[agent].max(version);
            }
        }
        child.wait().unwrap();

        let shared = SqliteCheckpointStore::open(folder.path().join("shared.db")).await.unwrap();
        let held = lease(Duration::from_secs(60)).await;
        let config = LoggedCheckpointConfig::default();
        let log = folder.path().join("log.db");
        let store = LoggedCheckpointStore::open(shared.clone(), log, held.watch(), config).await.unwrap();
        waited += store.stats().waiting;
        store.flush().await.unwrap();
        assert!(store.orphans().await.unwrap().is_empty());
        for (key, version) in KEYS.into_iter().zip(acknowledged) {
            let tip = shared.load(LoadRequest::tip(thread(key))).await.unwrap();
            let found = tip.map_or(0, |tip| {
                assert_eq!(tip.fields[0].appended.len() as u64, tip.info.version.0);
                tip.info.version.0
            });
            assert!(found >= version, "{key}: {found} of {version} acknowledged");
        }
        store.close().await.unwrap();
        shared.close().await.unwrap();
    }
    assert!(acknowledged.iter().all(|version| *version > 0), "{acknowledged:?}");
    assert!(waited > 0, "no kill came between an acknowledgement and its flush");
}

#[tokio::test]
async fn a_thawed_owners_late_commits_are_orphaned_and_the_new_owners_state_stands() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start("logged::processes::child_that_commits_locally", folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = [0; KEYS.len()];
    while acknowledged.iter().any(|version| *version < 20) {
        if let Some((agent, version)) = acknowledgement(&lines.next().unwrap()) {
            acknowledged[agent] = version;
        }
    }
    let shared = open_with(&folder.path().join("shared.db"), SqliteCheckpointConfig::default()).await;
    let mut claimed = Vec::new();
    signal(&child, "-STOP");
    for key in KEYS {
        // Frozen within a transaction of the shared store, it holds the lock: it is let on, and frozen again.
        while shared.claim(ClaimRequest::new(thread(key))).await.is_err() {
            signal(&child, "-CONT");
            signal(&child, "-STOP");
        }
        let mut owner = Agent::claim(&shared, key).await;
        owner.write(&shared, "[new]").await.unwrap();
        claimed.push(owner);
    }
    signal(&child, "-CONT");
    let mut refused = 0;
    for line in lines {
        refused += usize::from(line.contains("refused"));
        if let Some((agent, version)) = acknowledgement(&line) {
            acknowledged[agent] = version;
        }
    }
    child.wait().unwrap();
    assert_eq!(refused, KEYS.len());

    let held = lease(Duration::from_secs(60)).await;
    let (log, config) = (folder.path().join("log.db"), LoggedCheckpointConfig::default());
    let store = LoggedCheckpointStore::open(shared.clone(), log, held.watch(), config).await.unwrap();
    store.flush().await.unwrap();
    let orphans = store.orphans().await.unwrap();
    for (owner, last) in claimed.iter().zip(acknowledged) {
        let tip = shared.load(LoadRequest::tip(thread(owner.key))).await.unwrap().unwrap();
        assert_eq!((tip.info.version, tip.info.epoch), (owner.version, owner.epoch));
        assert_eq!(tip.fields[0].appended.last().unwrap(), "[new]");
        // What the new owner found and what was left behind is all that was acknowledged.
        let found = owner.version.0 - 1;
        let left = orphans.iter().find(|tail| tail.thread == thread(owner.key));
        let (first, end) = left.map_or((found + 1, found), |tail| (tail.first.0, tail.last.0));
        assert_eq!(first, found + 1, "{}", owner.key);
        assert!(end >= last, "{}: {end} of {last} acknowledged", owner.key);
    }
    assert!(!orphans.is_empty(), "no commit waited when the owner was frozen");
}
