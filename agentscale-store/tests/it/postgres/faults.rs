//! Connections that break while agents commit. What was acknowledged stands, and a repeated commit stands once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::checkpoint::{Commit, FieldWrite, LoadRequest};
use agentscale_core::testkit::TestServer;
use agentscale_core::{CheckpointStore, Error, Retry};
use agentscale_store::PostgresCheckpointStore;

use super::Scene;
use crate::scene::{Owner, thread};

const AGENTS: usize = 8;

/// Agents that commit until they are told to stop, each commit again and again until it is acknowledged.
pub(crate) struct Fleet {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Owner>>,
}

impl Fleet {
    pub(crate) async fn start(store: &PostgresCheckpointStore) -> Self {
        let (stop, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut tasks = Vec::new();
        for number in 0..AGENTS {
            let mut owner = Owner::claim(store, &format!("agent-{number}")).await;
            let (store, stop, acknowledged) = (store.clone(), stop.clone(), acknowledged.clone());
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let items = format!("[{}]", owner.version.0).into();
                    let commit = owner.commit(vec![FieldWrite::Append { name: "notes".into(), items }]);
                    owner.version.0 = acknowledge(&store, commit).await;
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                owner
            }));
        }
        Self { stop, acknowledged, tasks }
    }

    /// Waits until so many more commits are acknowledged.
    pub(crate) async fn goes_on(&self, commits: u64) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + commits;
        let reached = async {
            while self.acknowledged.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached).await.expect("commits go on");
    }

    /// Ends, and compares what was acknowledged with what is there.
    pub(crate) async fn stop(self, store: &PostgresCheckpointStore) {
        self.stop.store(true, Ordering::Relaxed);
        for (number, task) in self.tasks.into_iter().enumerate() {
            let owner = task.await.expect("the agent ends");
            let tip = store
                .load(LoadRequest::tip(thread(&format!("agent-{number}"))))
                .await
                .expect("it is read")
                .expect("there is a tip");
            assert_eq!(tip.info.version, owner.version);
            let expected: Vec<String> = (0..owner.version.0).map(|version| format!("[{version}]")).collect();
            assert_eq!(tip.fields[0].appended, expected);
        }
    }
}

async fn acknowledge(store: &PostgresCheckpointStore, commit: Commit) -> u64 {
    loop {
        match store.commit(commit.clone()).await {
            Ok(committed) => return committed.version.0,
            Err(error) => pass_over(&error).await,
        }
    }
}

/// Only what may be tried again may happen.
async fn pass_over(error: &Error) {
    assert_eq!(error.retry(), Retry::Later, "{error:?}");
    tokio::time::sleep(Duration::from_millis(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_in_the_middle_of_commits_lose_and_double_nothing() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let store = scene.open().await;
        let fleet = Fleet::start(&store).await;
        for _ in 0..20 {
            fleet.goes_on(20).await;
            scene
                .execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE pid <> pg_backend_pid() AND query LIKE '%@.%'",
                )
                .await;
        }
        fleet.goes_on(20).await;
        fleet.stop(&store).await;
    }
}
