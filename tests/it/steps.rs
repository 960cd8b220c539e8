//! A step that has finished is not run again.

use std::sync::Arc;
use std::time::Duration;

use agentscale::core::checkpoint::{AppendSteps, ClaimRequest, Step, TurnId};
use agentscale::core::testkit::ScriptedProvider;
use agentscale::core::time::PausedClock;
use agentscale::prelude::*;
use agentscale::store::InMemoryCheckpointStore;
use tokio::time::Instant;

use crate::meddling::{Fate, Meddled};
use crate::scene::{Do, Sum, Worker, World, acme, describe, every_level, stores, sum, until, worker};

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name).unwrap()
}

#[tokio::test]
async fn a_turn_that_died_after_some_model_calls_makes_only_the_others() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        for level in every_level() {
            let key = key(&format!("{level:?}"));
            let questions: Vec<_> = (0..8).map(|n| Do::Model(format!("question {n}"))).collect();
            let started = async |provider: &ScriptedProvider| {
                let pool = Pool::stateful().with_durability(level);
                let builder = Runtime::builder().checkpoints(store.clone()).llm(provider.clone());
                builder.pool("worker", Worker(World::default()), pool).start().await.unwrap()
            };
            let mut dying = ScriptedProvider::new();
            for _ in 0..5 {
                dying = dying.with_answer("early");
            }
            let dying = dying.with_hang();
            let runtime = started(&dying).await;
            let alice = worker(&runtime, &format!("{level:?}")).with_idempotency_key(key.clone());
            alice.tell(questions.clone()).await.unwrap();
            until("the sixth call hangs", async || dying.requests().len() == 6).await;
            drop(runtime);

            let again = ScriptedProvider::new().with_answer("late").repeating();
            let runtime = started(&again).await;
            let alice = worker(&runtime, &format!("{level:?}")).with_idempotency_key(key);
            let heard = alice.ask::<_, Sum>(questions).await.unwrap().heard;
            assert_eq!(heard, ["early", "early", "early", "early", "early", "late", "late", "late"]);
            assert_eq!(again.requests().len(), 3);
            assert_eq!((runtime.stats().resumed, runtime.stats().replayed_steps), (1, 5));
            runtime.drain(Duration::from_secs(5)).await;
        }
    }
}

#[tokio::test]
async fn a_turn_that_asks_otherwise_than_its_journal_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let thread = AgentId::new(&acme(), "worker", "alice").unwrap();
        let claim = store.claim(ClaimRequest::new(thread.clone())).await.unwrap();
        let step = Step { index: 0, request_hash: [7; 32], result: "null".into() };
        let steps = AppendSteps::new(thread, claim.epoch, TurnId("order".into()), vec![step]);
        store.append_steps(steps).await.unwrap();

        let runtime = describe(store.clone(), &World::default()).start().await.unwrap();
        let alice = worker(&runtime, "alice");
        let asked = alice.clone().with_idempotency_key(key("order"));
        let refused = asked.ask::<_, Sum>(vec![Do::Model("other".into())]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert_eq!(refused.context("step"), Some("0"));
        assert_eq!(sum(&runtime, "alice").await, 0);
    }
}

#[tokio::test]
async fn an_ask_that_was_answered_before_the_crash_gives_the_same_answer_and_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        // The asker dies when it has its answer and before it has journaled it.
        let dying = Meddled::new(store.clone(), |name| match name {
            "append_steps" => Fate::Hang,
            _ => Fate::Pass,
        });
        let order = vec![Do::Ask("bob".into(), vec![Do::Add(4)])];
        let runtime = describe(dying, &World::default()).start().await.unwrap();
        let alice = worker(&runtime, "alice").with_idempotency_key(key("order"));
        alice.tell(order.clone()).await.unwrap();
        until("bob has answered", async || sum(&runtime, "bob").await == 4).await;
        drop(runtime);

        let runtime = describe(store.clone(), &World::default()).start().await.unwrap();
        worker(&runtime, "bob").tell(vec![Do::Add(100)]).await.unwrap();
        let alice = worker(&runtime, "alice").with_idempotency_key(key("order"));
        assert_eq!(alice.ask::<_, Sum>(order).await.unwrap().sum, 4);
        assert_eq!(sum(&runtime, "bob").await, 104);
    }
}

#[tokio::test]
async fn two_agents_that_ask_a_third_under_one_key_of_the_host_are_two_askers() {
    let store = InMemoryCheckpointStore::new();
    let runtime = describe(store, &World::default()).start().await.unwrap();
    for asker in ["alice", "bert"] {
        let asker = worker(&runtime, asker).with_idempotency_key(key("order"));
        asker.ask::<_, Sum>(vec![Do::Ask("carol".into(), vec![Do::Add(1)])]).await.unwrap();
    }
    assert_eq!(sum(&runtime, "carol").await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_sleep_waits_only_for_what_is_left() {
    let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
    let clock = PausedClock::new();
    let order = vec![Do::Sleep(Duration::from_secs(100)), Do::Add(1)];
    let began = Instant::now();
    let runtime = describe(store.clone(), &World::default()).clock(clock).start().await.unwrap();
    let alice = worker(&runtime, "alice").with_idempotency_key(key("order"));
    alice.tell(order.clone()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(70)).await;
    drop(runtime);
    tokio::time::sleep(Duration::from_secs(10)).await;

    let runtime = describe(store.clone(), &World::default()).clock(clock).start().await.unwrap();
    let alice = worker(&runtime, "alice").with_idempotency_key(key("order"));
    assert_eq!(alice.ask::<_, Sum>(order).await.unwrap().sum, 1);
    assert_eq!(began.elapsed().as_secs(), 100);
}

#[tokio::test]
async fn an_effect_runs_once_though_its_turn_failed_after_it_and_the_journal_ends_with_the_turn() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let world = World::default();
        let runtime = describe(store.clone(), &world).start().await.unwrap();
        let order = vec![Do::Effect("pay".into()), Do::Panic];
        let alice = worker(&runtime, "alice").with_idempotency_key(key("order"));
        alice.ask::<_, Sum>(order.clone()).await.unwrap_err();
        world.mend();
        alice.ask::<_, Sum>(order).await.unwrap();
        assert_eq!(world.effects(), ["pay", "attempt"]);

        // A turn that journals a step and changes nothing else leaves no journal behind.
        worker(&runtime, "alice").ask::<_, Sum>(vec![Do::Effect("look".into())]).await.unwrap();
        runtime.drain(Duration::from_secs(5)).await;
        let thread = AgentId::new(&acme(), "worker", "alice").unwrap();
        assert!(store.claim(ClaimRequest::new(thread)).await.unwrap().steps.is_empty());
    }
}
