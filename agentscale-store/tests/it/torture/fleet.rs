//! Agents that commit whatever happens around them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::checkpoint::{Commit, FieldWrite, LoadRequest};
use agentscale_core::{CheckpointStore, Retry};

use crate::scene::{Owner, thread};

const AGENTS: usize = 8;

/// Agents that commit until they are told to stop, each commit again and again until it is acknowledged.
pub(crate) struct Fleet {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    tasks: Vec<tokio::task::JoinHandle<Owner>>,
}

#[derive(Default)]
struct Counts {
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

impl Fleet {
    pub(crate) async fn start(store: &(impl CheckpointStore + Clone + 'static)) -> Self {
        let (stop, counts) = (Arc::<AtomicBool>::default(), Arc::<Counts>::default());
        let mut tasks = Vec::new();
        for number in 0..AGENTS {
            let mut owner = Owner::claim(store, &format!("agent-{number}")).await;
            let (store, stop, counts) = (store.clone(), stop.clone(), counts.clone());
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let items = format!("[{}]", owner.version.0).into();
                    let commit = owner.commit(vec![FieldWrite::Append { name: "notes".into(), items }]);
                    owner.version.0 = acknowledge(&store, commit, &counts).await;
                }
                owner
            }));
        }
        Self { stop, counts, tasks }
    }

    /// Waits until so many more commits are acknowledged.
    pub(crate) async fn goes_on(&self, commits: u64) {
        reach(&self.counts.acknowledged, commits).await;
    }

    /// Waits until so many more commits are refused.
    #[cfg(feature = "postgres")]
    pub(crate) async fn is_refused(&self, commits: u64) {
        reach(&self.counts.refused, commits).await;
    }

    /// Ends, and compares what was acknowledged with what is there.
    pub(crate) async fn stop(self, store: &impl CheckpointStore) {
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

async fn reach(count: &AtomicU64, more: u64) {
    let goal = count.load(Ordering::Relaxed) + more;
    let reached = async {
        while count.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("no commit hangs");
}

/// Sends the commit again and again. Only what may be tried again may happen.
async fn acknowledge(store: &impl CheckpointStore, commit: Commit, counts: &Counts) -> u64 {
    loop {
        match store.commit(commit.clone()).await {
            Ok(committed) => {
                counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                return committed.version.0;
            }
            Err(error) => {
                assert_eq!(error.retry(), Retry::Later, "{error:?}");
                counts.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
