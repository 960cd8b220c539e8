//! A future dropped at any await leaves the state before or after the turn, never between.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use agentscale::prelude::*;
use agentscale::store::InMemoryCheckpointStore;

use crate::meddling::{Fate, Meddled};
use crate::scene::{Do, Sum, World, describe, pending, stores, sum, until, worker};

/// Polls a future so many times, letting other tasks run between, and drops it. `None` where it did not end.
async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..times {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// A store whose every operation takes a few polls.
fn lingering(store: Arc<dyn CheckpointStore>) -> Meddled {
    Meddled::new(store, |_| Fate::Linger)
}

fn order() -> Vec<Do> {
    vec![
        Do::Add(1),
        Do::Model("why".into()),
        Do::Ask("bob".into(), vec![]),
        Do::Effect("look".into()),
        Do::Send("carol".into(), vec![Do::Add(1)]),
        Do::Add(1),
    ]
}

#[tokio::test]
async fn an_ask_dropped_at_any_await_leaves_the_state_before_or_after_and_the_next_message_works() {
    let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
    let runtime = describe(lingering(store.clone()), &World::default()).start().await.unwrap();
    let (mut turns, mut dropped, mut times) = (0, 0, 0);
    loop {
        let before = sum(&runtime, "alice").await;
        let answer = polled(times, worker(&runtime, "alice").ask::<_, Sum>(order())).await;
        // The next message waits for the turn that was dropped, and sees what it left.
        let after = sum(&runtime, "alice").await;
        assert!(after == before || after == before + 2, "{before} became {after} after {times} polls");
        turns += u64::from(after > before);
        if let Some(answer) = answer {
            assert_eq!(answer.unwrap().sum, after);
            break;
        }
        dropped += u64::from(after == before);
        times += 1;
    }
    assert!(dropped > 10, "dropped only {dropped} times before the turn's end");
    until("carol heard of every turn", async || sum(&runtime, "carol").await == turns).await;
    until("the outbox is empty", async || pending(store.as_ref()).await == 0).await;
    assert_eq!(runtime.drain(Duration::from_secs(5)).await.cut_off, 0);
}

#[tokio::test]
async fn a_caller_that_goes_after_the_commit_point_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let runtime = describe(lingering(store.clone()), &World::default()).start().await.unwrap();
        for times in 0..40 {
            let key = IdempotencyKey::new(format!("order-{times}")).unwrap();
            let alice = worker(&runtime, "alice").with_idempotency_key(key);
            polled(times, alice.ask::<_, Sum>(order())).await;
            // Whether the first ask was dropped early or late, both together have their effect once.
            alice.ask::<_, Sum>(order()).await.unwrap();
            assert_eq!(sum(&runtime, "alice").await, 2 * (times as u64 + 1));
        }
        until("carol heard of every turn", async || sum(&runtime, "carol").await == 40).await;
        assert_eq!(pending(store.as_ref()).await, 0);
    }
}

#[tokio::test]
async fn a_runtime_dropped_at_any_moment_of_a_turn_loses_and_repeats_nothing() {
    for times in 0..60 {
        let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
        let key = IdempotencyKey::new("order").unwrap();
        let runtime = describe(lingering(store.clone()), &World::default()).start().await.unwrap();
        worker(&runtime, "alice").with_idempotency_key(key.clone()).tell(order()).await.unwrap();
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
        drop(runtime);

        let runtime = describe(lingering(store.clone()), &World::default()).start().await.unwrap();
        let alice = worker(&runtime, "alice").with_idempotency_key(key);
        alice.ask::<_, serde_json::Value>(order()).await.unwrap();
        assert_eq!(sum(&runtime, "alice").await, 2, "dropped after {times} yields");
        until("carol heard once", async || pending(store.as_ref()).await == 0).await;
        assert_eq!(sum(&runtime, "carol").await, 1, "dropped after {times} yields");
    }
}
