//! Idle agents leave memory; what they keep comes back, and no message is lost on the way.

use std::sync::Arc;
use std::time::Duration;

use agentscale::core::checkpoint::ThreadQuery;
use agentscale::prelude::*;
use agentscale::runtime::RuntimeConfig;
use agentscale::store::InMemoryCheckpointStore;
use futures::future::join_all;

use crate::scene::{Do, Sum, Worker, World, acme, quick, stores, until, worker};

async fn start(
    store: Arc<dyn CheckpointStore>,
    config: RuntimeConfig,
    options: impl Fn(Pool) -> Pool,
) -> Runtime {
    Runtime::builder()
        .config(config)
        .checkpoints(store)
        .pool("worker", Worker(World::default()), options(Pool::stateful()))
        .pool("forgetful", Worker(World::default()), options(Pool::volatile()))
        .start()
        .await
        .unwrap()
}

fn memory() -> Arc<dyn CheckpointStore> {
    Arc::new(InMemoryCheckpointStore::new())
}

fn active(runtime: &Runtime, agent_type: &str) -> usize {
    let live = runtime.live_agents(&acme(), &agent_type.try_into().unwrap()).unwrap();
    live.iter().filter(|agent| agent.active).count()
}

#[tokio::test(start_paused = true)]
async fn an_agent_idle_for_long_enough_leaves_and_one_that_is_spoken_to_stays() {
    let runtime = start(memory(), quick(), |pool| pool.with_idle_timeout(Duration::from_secs(60))).await;
    for agent_type in ["worker", "forgetful"] {
        let agent = |key: &str| runtime.agent(&acme(), agent_type, key).unwrap();
        for key in ["idle", "busy"] {
            agent(key).ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap();
        }
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(30)).await;
            agent("busy").ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap();
        }
        assert_eq!(active(&runtime, agent_type), 1);
        let kept = if agent_type == "worker" { 1 } else { 0 };
        assert_eq!(agent("idle").ask::<_, Sum>(Vec::<Do>::new()).await.unwrap().sum, kept);
        assert_eq!(agent("busy").ask::<_, Sum>(Vec::<Do>::new()).await.unwrap().sum, 5);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(active(&runtime, agent_type), 0);
    }
    assert_eq!(runtime.stats().passivated, 6);
}

#[tokio::test(start_paused = true)]
async fn agents_over_the_pools_limit_leave_and_no_more_than_those() {
    let runtime = start(memory(), quick(), |pool| pool.max_active(10)).await;
    for n in 0..25 {
        worker(&runtime, &n.to_string()).ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap();
    }
    assert_eq!(active(&runtime, "worker"), 25);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(active(&runtime, "worker"), 10);
    for n in 0..25 {
        assert_eq!(worker(&runtime, &n.to_string()).ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap().sum, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn under_memory_pressure_agents_leave_before_their_time() {
    let config = RuntimeConfig { memory_pressure_bytes: 1, ..quick() };
    let runtime = start(memory(), config, |pool| pool).await;
    for n in 0..16 {
        worker(&runtime, &n.to_string()).ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(active(&runtime, "worker"), 8);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(active(&runtime, "worker"), 0);
}

/// Adds one to each of five agents in turn, until enough agents have left meanwhile; how often.
async fn add_while_agents_leave(runtime: Runtime) -> u64 {
    let mut rounds = 0;
    while rounds < 40 || runtime.stats().passivated < 20 {
        for key in 0..5 {
            worker(&runtime, &key.to_string()).tell(vec![Do::Add(1)]).await.unwrap();
        }
        rounds += 1;
        for key in 0..5 {
            crate::scene::sum(&runtime, &key.to_string()).await;
        }
        tokio::time::sleep(Duration::from_millis(rounds % 3)).await;
    }
    rounds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn passivation_loses_no_message_that_arrives_meanwhile() {
    let config =
        RuntimeConfig { sweep_interval: Duration::from_millis(1), memory_pressure_bytes: 1, ..quick() };
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let runtime = start(store, config.clone(), |pool| pool.with_idle_timeout(Duration::ZERO)).await;
        let senders = (0..8).map(|_| tokio::spawn(add_while_agents_leave(runtime.clone())));
        let sent = tokio::time::timeout(Duration::from_secs(60), join_all(senders)).await.unwrap();
        let sent: u64 = sent.into_iter().map(Result::unwrap).sum();
        for key in 0..5 {
            assert_eq!(crate::scene::sum(&runtime, &key.to_string()).await, sent);
        }
    }
}

#[tokio::test]
async fn ten_thousand_agents_are_activated_by_their_first_message_and_can_be_listed_and_inspected() {
    let runtime = start(memory(), quick(), |pool| pool).await;
    assert_eq!(runtime.stats().activated, 0);
    for n in 0..10_000 {
        worker(&runtime, &n.to_string()).tell(vec![Do::Add(1)]).await.unwrap();
    }
    until("all are done", async || runtime.stats().turns == 10_000).await;
    assert_eq!(active(&runtime, "worker"), 10_000);
    assert_eq!(runtime.stats().activated, 10_000);

    let (mut listed, mut query) = (0, ThreadQuery::new(acme(), 3_000));
    loop {
        let page = runtime.threads(query.clone()).await.unwrap();
        listed += page.threads.len();
        let Some(next) = page.next else { break };
        query = query.after(next);
    }
    assert_eq!(listed, 10_000);
    let known = runtime.inspect(worker(&runtime, "77").id()).await.unwrap();
    assert_eq!((known.active, known.running, known.queued, known.version), (true, false, 0, Some(1)));
    let unknown = runtime.inspect(worker(&runtime, "nobody").id()).await.unwrap();
    assert_eq!((unknown.active, unknown.version), (false, None));
    let missing = AgentId::new(&acme(), "missing", "x").unwrap();
    assert_eq!(runtime.inspect(&missing).await.unwrap_err().kind(), ErrorKind::NotFound);
}
