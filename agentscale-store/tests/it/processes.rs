//! Several processes on one file: kill -9, freeze and thaw. The other process is this test binary itself.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agentscale_core::checkpoint::{Durability, LoadRequest};
use agentscale_core::{CheckpointStore, ErrorKind};
use agentscale_store::{SqliteCheckpointConfig, SqliteCheckpointStore};

use crate::scene::{Owner, open_with, thread};

const FILE: &str = "AGENTSCALE_TEST_FILE";
const AGENTS: usize = 4;

/// Not a test of its own: what the other process runs, committing until it is refused or killed.
#[tokio::test]
async fn child_that_commits() {
    let Ok(path) = std::env::var(FILE) else { return };
    let store = open_with(Path::new(&path), SqliteCheckpointConfig::default()).await;
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let mut owner = Owner::claim(&store, &format!("agent-{number}")).await;
        owner.level = if number == 0 { Durability::Disk } else { Durability::Process };
        agents.push(tokio::spawn(async move {
            loop {
                match owner.write("[1]").await {
                    Ok(version) => println!("acknowledged {number} {}", version.0),
                    Err(error) => return println!("refused {number} {}", error.kind()),
                }
            }
        }));
    }
    for agent in agents {
        agent.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let mut acknowledged = [0; AGENTS];
    for round in 1..=3 {
        let mut child = start(&path);
        let output = child.stdout.take().unwrap();
        for (seen, line) in BufReader::new(output).lines().enumerate() {
            if seen == 40 * round {
                child.kill().unwrap();
            }
            // The last line may be cut off.
            let line = line.unwrap();
            if let Some((agent, version)) = acknowledgement(&line) {
                acknowledged[agent] = acknowledged[agent].max(version);
            }
        }
        child.wait().unwrap();
        let store = SqliteCheckpointStore::open(&path).await.unwrap();
        for (agent, version) in acknowledged.iter().enumerate() {
            let tip = store.load(LoadRequest::tip(thread(&format!("agent-{agent}")))).await.unwrap();
            let found = tip.map_or(0, |tip| {
                assert_eq!(tip.fields[0].appended.len() as u64, tip.info.version.0);
                tip.info.version.0
            });
            assert!(found >= *version, "agent {agent}: {found} of {version} acknowledged");
        }
        store.close().await.unwrap();
    }
    assert!(acknowledged.iter().all(|version| *version > 0), "{acknowledged:?}");
}

#[tokio::test]
async fn a_frozen_owner_is_fenced_after_its_thaw() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let mut child = start(&path);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while acknowledgement(&lines.next().unwrap().unwrap()).is_none() {}

    let mut config = SqliteCheckpointConfig::default();
    config.file.busy_timeout = Duration::from_millis(100);
    let store = open_with(&path, config).await;
    let mut claimed = Vec::new();
    signal(&child, "-STOP");
    for number in 0..AGENTS {
        let key = format!("agent-{number}");
        // Frozen within a transaction, it holds the lock: it is let on, and frozen again.
        while store.claim(agentscale_core::checkpoint::ClaimRequest::new(thread(&key))).await.is_err() {
            signal(&child, "-CONT");
            signal(&child, "-STOP");
        }
        claimed.push(Owner::claim(&store, &key).await);
    }
    signal(&child, "-CONT");
    let refused: Vec<String> = lines.map(Result::unwrap).filter(|line| line.contains("refused")).collect();
    child.wait().unwrap();
    assert_eq!(refused.len(), AGENTS);
    for line in refused {
        assert!(line.ends_with(ErrorKind::Fenced.as_str()), "{line}");
    }
    for owner in &mut claimed {
        let before = owner.version;
        assert_eq!(owner.write("[2]").await.unwrap().0, before.0 + 1);
    }
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this binary has a path"))
        .args(["--exact", "processes::child_that_commits", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts again")
}

fn signal(child: &Child, name: &str) {
    assert!(
        Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs").success()
    );
}

fn acknowledgement(line: &str) -> Option<(usize, u64)> {
    let mut words = line.split_once("acknowledged ")?.1.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}
