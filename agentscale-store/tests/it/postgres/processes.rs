//! Several processes on one database: kill -9, freeze and thaw. The other process is this test binary itself.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use agentscale_core::checkpoint::LoadRequest;
use agentscale_core::testkit::TestServer;
use agentscale_core::{CheckpointStore, ErrorKind};

use super::Scene;
use crate::processes::{acknowledgement, commit_until_refused, named_file, signal, start};
use crate::scene::{Owner, thread};

const AGENTS: usize = 4;

/// Not a test of its own: what the other process runs, committing until it is refused or killed.
#[tokio::test]
async fn child_that_commits() {
    let Some(named) = named_file() else { return };
    let (schema, url) = named.split_once(' ').expect("a schema and an address");
    let scene = Scene::of_another(url, schema);
    commit_until_refused(&scene.open().await, AGENTS).await;
    std::mem::forget(scene);
}

fn child(scene: &Scene) -> Child {
    start("postgres::processes::child_that_commits", format!("{} {}", scene.schema, scene.url))
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let store = scene.open().await;
        let mut acknowledged = [0; AGENTS];
        for round in 1..=3 {
            let mut child = child(&scene);
            let output = child.stdout.take().unwrap();
            for (seen, line) in BufReader::new(output).lines().enumerate() {
                if seen == 40 * round {
                    child.kill().unwrap();
                }
                // The last line may be cut off.
                if let Some((agent, version)) = acknowledgement(&line.unwrap()) {
                    acknowledged[agent] = acknowledged[agent].max(version);
                }
            }
            child.wait().unwrap();
            for (agent, version) in acknowledged.iter().enumerate() {
                let tip = store.load(LoadRequest::tip(thread(&format!("agent-{agent}")))).await.unwrap();
                let found = tip.map_or(0, |tip| {
                    assert_eq!(tip.fields[0].appended.len() as u64, tip.info.version.0);
                    tip.info.version.0
                });
                assert!(found >= *version, "agent {agent}: {found} of {version} acknowledged");
            }
        }
        assert!(acknowledged.iter().all(|version| *version > 0), "{acknowledged:?}");
    }
}

#[tokio::test]
async fn a_frozen_owner_is_fenced_after_its_thaw() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let mut config = scene.config();
        config.database.lock_timeout = std::time::Duration::from_millis(100);
        let store = scene.open_with(config).await;
        let mut child = child(&scene);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while acknowledgement(&lines.next().unwrap().unwrap()).is_none() {}
        signal(&child, "-STOP");
        let mut claimed = Vec::new();
        for number in 0..AGENTS {
            let key = format!("agent-{number}");
            // Behind a pooler it may be frozen within a transaction, which holds its threads: it is let on.
            while store.claim(agentscale_core::checkpoint::ClaimRequest::new(thread(&key))).await.is_err() {
                signal(&child, "-CONT");
                signal(&child, "-STOP");
            }
            claimed.push(Owner::claim(&store, &key).await);
        }
        signal(&child, "-CONT");
        let refused: Vec<String> =
            lines.map(Result::unwrap).filter(|line| line.contains("refused")).collect();
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
}
