//! kill -9 between acknowledgement and flush. The other process is this test binary itself.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use agentscale_core::CheckpointStore;
use agentscale_core::checkpoint::{ClaimRequest, LoadRequest};
use agentscale_core::testkit::FaultyStore;
use agentscale_store::{
    LoggedCheckpointConfig, LoggedCheckpointStore, SqliteCheckpointConfig, SqliteCheckpointStore,
};

use super::scene::{Agent, lease};
use crate::processes::{acknowledgement, named_file, start};
use crate::scene::{open_with, thread};

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
    let faulty = FaultyStore::new(shared).with_chance(u64::from(std::process::id()), 0.4);
    let store = LoggedCheckpointStore::open(faulty, folder.join("log.db"), lease.watch(), config)
        .await
        .expect("the log opens");
    let agents = KEYS.into_iter().enumerate().map(|(number, key)| commit_for_ever(&store, number, key));
    futures::future::join_all(agents).await;
}

async fn commit_for_ever(store: &impl CheckpointStore, number: usize, key: &'static str) {
    // Faults meet claims, too.
    let mut agent = loop {
        if let Ok(claim) = store.claim(ClaimRequest::new(thread(key))).await {
            break Agent { key, epoch: claim.epoch, version: claim.version() };
        }
    };
    loop {
        let commit = agent.next("[1]");
        while agent.send(store, commit.clone()).await.is_err() {}
        println!("acknowledged {number} {}", agent.version.0);
    }
}

#[tokio::test]
async fn what_was_acknowledged_locally_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = [0; KEYS.len()];
    let mut waited = 0;
    for round in 1..=4 {
        let mut child = start("logged::processes::child_that_commits_locally", folder.path());
        let output = child.stdout.take().unwrap();
        for (seen, line) in BufReader::new(output).lines().enumerate() {
            if seen == 60 * round {
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
