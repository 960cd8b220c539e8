//! Agents that are content with *local*: the agent goes on, what it says waits for the shared store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale::core::checkpoint::{ClaimRequest, Durability, LoadRequest};
use agentscale::core::lease::{AcquireRequest, Lease, LeaseKey};
use agentscale::prelude::*;
use agentscale::store::{
    InMemoryCheckpointStore, InMemoryLeaseStore, LoggedCheckpointConfig, LoggedCheckpointStore,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::meddling::{Fate, Meddled};
use crate::scene::{Do, Sum, Worker, World, acme, pending, quick, sum, until, worker};

/// A node whose way to the shared store can be closed.
struct Node {
    folder: TempDir,
    lease: Lease,
    shared: Arc<dyn CheckpointStore>,
    is_closed: Arc<AtomicBool>,
}

impl Node {
    async fn new() -> Self {
        let key = LeaseKey::new(&acme(), "node", "1").unwrap();
        let request = AcquireRequest::new(key, "here".try_into().unwrap(), Duration::from_secs(60));
        let lease = Lease::acquire(Arc::new(InMemoryLeaseStore::new()), request).await.unwrap();
        let shared: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
        Self { folder: tempfile::tempdir().unwrap(), lease, shared, is_closed: Arc::default() }
    }

    async fn log(&self) -> LoggedCheckpointStore<Meddled> {
        let is_closed = self.is_closed.clone();
        let meddled = Meddled::new(self.shared.clone(), move |name| match name {
            "commit" if is_closed.load(Ordering::SeqCst) => Fate::Refuse,
            _ => Fate::Pass,
        });
        let config = LoggedCheckpointConfig::default();
        let path = self.folder.path().join("log.db");
        LoggedCheckpointStore::open(meddled, path, self.lease.watch(), config).await.unwrap()
    }

    fn close_way(&self, closed: bool) {
        self.is_closed.store(closed, Ordering::SeqCst);
    }

    /// What other nodes see.
    async fn version(&self, key: &str) -> u64 {
        let tip = self.shared.load(LoadRequest::tip(agent(key))).await.unwrap();
        tip.map_or(0, |tip| tip.info.version.0)
    }
}

fn agent(key: &str) -> AgentId {
    AgentId::new(&acme(), "worker", key).unwrap()
}

async fn start(store: LoggedCheckpointStore<Meddled>) -> Runtime {
    Runtime::builder()
        .config(quick())
        .checkpoints(store)
        .pool("worker", Worker(World::default()), Pool::stateful().with_durability(Durability::Local))
        .start()
        .await
        .unwrap()
}

fn ask(runtime: &Runtime, key: &str, orders: Vec<Do>) -> JoinHandle<Result<Sum>> {
    let worker = worker(runtime, key);
    tokio::spawn(async move { worker.ask::<_, Sum>(orders).await })
}

#[tokio::test]
async fn replies_and_messages_wait_for_the_shared_store_and_the_agent_does_not() {
    let node = Node::new().await;
    let log = node.log().await;
    let runtime = start(log.clone()).await;
    assert_eq!(sum(&runtime, "alice").await, 0);
    node.close_way(true);
    let told = vec![Do::Add(5), Do::Send("bob".into(), vec![Do::Add(5)])];
    let first = ask(&runtime, "alice", told);
    let second = ask(&runtime, "alice", vec![Do::Add(1)]);
    // Reads what the two wrote, and writes nothing itself.
    let third = ask(&runtime, "alice", vec![]);
    until("all three turns are over", async || runtime.stats().turns == 4).await;
    assert_eq!((log.stats().waiting, node.version("alice").await), (2, 1));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!first.is_finished() && !second.is_finished() && !third.is_finished());
    assert_eq!(node.version("bob").await, 0);

    node.close_way(false);
    let answers = [first.await, second.await, third.await].map(|answer| answer.unwrap().unwrap().sum);
    assert_eq!(answers, [5, 6, 6]);
    until("bob heard", async || sum(&runtime, "bob").await == 5).await;
    until("the outbox is empty", async || pending(node.shared.as_ref()).await == 0).await;
    assert_eq!(log.stats().orphaned, 0);
}

#[tokio::test]
async fn a_turn_that_a_takeover_overtook_says_nothing() {
    let node = Node::new().await;
    let log = node.log().await;
    let runtime = start(log.clone()).await;
    assert_eq!(sum(&runtime, "alice").await, 0);
    node.close_way(true);
    let overtaken = ask(&runtime, "alice", vec![Do::Add(5), Do::Send("bob".into(), vec![Do::Add(5)])]);
    until("the turn is over", async || log.stats().waiting == 1).await;
    node.shared.claim(ClaimRequest::new(agent("alice"))).await.unwrap();
    node.close_way(false);
    assert_eq!(overtaken.await.unwrap().unwrap_err().kind(), ErrorKind::Fenced);
    // Nor does a turn that saw what never was.
    let misled = worker(&runtime, "alice").ask::<_, Sum>(Vec::<Do>::new()).await;
    assert_eq!(misled.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(log.orphans().await.unwrap()[0].commits, 1);
    assert_eq!((node.version("alice").await, node.version("bob").await), (1, 0));
    assert_eq!(pending(node.shared.as_ref()).await, 0);
}

#[tokio::test]
async fn what_a_drain_cannot_bring_away_follows_at_the_next_start_with_its_messages() {
    let node = Node::new().await;
    let log = node.log().await;
    let runtime = start(log.clone()).await;
    assert_eq!(sum(&runtime, "alice").await, 0);
    node.close_way(true);
    let cut_off = ask(&runtime, "alice", vec![Do::Add(5), Do::Send("bob".into(), vec![Do::Add(5)])]);
    until("the turn is over", async || log.stats().waiting == 1).await;
    assert_eq!(runtime.drain(Duration::from_millis(50)).await.cut_off, 1);
    cut_off.await.unwrap().unwrap_err();
    drop(runtime);
    log.close().await.unwrap();
    drop(log);

    node.close_way(false);
    let runtime = start(node.log().await).await;
    until("bob heard", async || sum(&runtime, "bob").await == 5).await;
    assert_eq!(sum(&runtime, "alice").await, 5);
    until("the outbox is empty", async || pending(node.shared.as_ref()).await == 0).await;
    runtime.drain(Duration::from_secs(5)).await;
}

/// However many wait, they leave as their turns were.
#[tokio::test]
async fn many_replies_leave_in_the_order_of_their_turns() {
    let node = Node::new().await;
    let runtime = start(node.log().await).await;
    assert_eq!(sum(&runtime, "alice").await, 0);
    node.close_way(true);
    let came = Arc::new(Mutex::new(Vec::new()));
    let asked: Vec<_> = (0..40)
        .map(|_| {
            let (worker, came) = (worker(&runtime, "alice"), came.clone());
            tokio::spawn(async move {
                let answer = worker.ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap();
                came.lock().unwrap().push(answer.sum);
            })
        })
        .collect();
    until("all turns are over", async || runtime.stats().turns == 41).await;
    assert_eq!(came.lock().unwrap().len(), 0);
    node.close_way(false);
    for asked in asked {
        asked.await.unwrap();
    }
    assert_eq!(*came.lock().unwrap(), (1..=40).collect::<Vec<_>>());
}

/// A turn that panics behind those that wait fails alone: they leave, and what comes after it knows of them.
#[tokio::test]
async fn a_panic_keeps_nothing_back_that_waits() {
    let node = Node::new().await;
    let log = node.log().await;
    let runtime = start(log.clone()).await;
    assert_eq!(sum(&runtime, "alice").await, 0);
    node.close_way(true);
    let before = [ask(&runtime, "alice", vec![Do::Add(5)]), ask(&runtime, "alice", vec![Do::Add(1)])];
    until("both turns are over", async || runtime.stats().turns == 3).await;
    let panicked = ask(&runtime, "alice", vec![Do::Add(100), Do::Panic]).await.unwrap();
    assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Internal);
    assert!(before.iter().all(|asked| !asked.is_finished()));
    let after = ask(&runtime, "alice", vec![Do::Add(10)]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!after.is_finished());
    node.close_way(false);
    let mut sums = Vec::new();
    for asked in before.into_iter().chain([after]) {
        sums.push(asked.await.unwrap().unwrap().sum);
    }
    assert_eq!(sums, [5, 6, 16]);
    assert_eq!(log.stats().orphaned, 0);
}
