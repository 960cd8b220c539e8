//! Exactly once under random faults: lost answers, refused writes, dropped runtimes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale::prelude::*;
use agentscale::store::InMemoryCheckpointStore;

use crate::meddling::{Fate, Meddled};
use crate::scene::{Do, World, describe, letters, pending, stores, sum, until, worker};

const AGENTS: u64 = 12;
const ORDERS: u64 = 60;

/// A small generator of its own, so that a seed gives the same faults whatever else draws numbers.
struct Dice(Mutex<u64>);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % sides
    }
}

fn faulty(store: Arc<dyn CheckpointStore>, seed: u64) -> Meddled {
    let dice = Dice(Mutex::new(seed));
    Meddled::new(store, move |name| {
        // Reads of the test itself and the last resort of a message are let through.
        if matches!(name, "dead_letters" | "redrive" | "bury") {
            return Fate::Pass;
        }
        match dice.roll(20) {
            0 => Fate::Refuse,
            1 => Fate::LoseAnswer,
            2 | 3 => Fate::Linger,
            _ => Fate::Pass,
        }
    })
}

/// Orders that pass along a chain of agents; each adds 1 on its way.
fn passed_along(dice: &Dice) -> Vec<Do> {
    let hops = 1 + dice.roll(4);
    (0..hops)
        .fold(vec![Do::Add(1)], |rest, _| vec![Do::Add(1), Do::Send(dice.roll(AGENTS).to_string(), rest)])
}

fn adds(order: &[Do]) -> u64 {
    order
        .iter()
        .map(|part| match part {
            Do::Add(more) => *more,
            Do::Send(_, inner) => adds(inner),
            _ => 0,
        })
        .sum()
}

async fn total(runtime: &Runtime) -> u64 {
    let mut total = 0;
    for agent in 0..AGENTS {
        total += sum(runtime, &agent.to_string()).await;
    }
    total
}

/// Sends every order until its commit is sure, over lives that end at any moment; then counts.
async fn tortured(store: Arc<dyn CheckpointStore>, seed: u64) {
    let dice = Dice(Mutex::new(seed));
    let mut orders = (0..ORDERS).map(|n| (n, passed_along(&dice))).collect::<Vec<_>>();
    let expected: u64 = orders.iter().map(|(_, order)| adds(order)).sum();
    let mut lives = 0_u64;
    while !orders.is_empty() {
        lives += 1;
        let runtime = describe(faulty(store.clone(), seed ^ (lives << 32)), &World::default());
        let runtime = runtime.start().await.unwrap();
        let mut left = Vec::new();
        let mut dies = false;
        for (n, order) in orders {
            if dies {
                left.push((n, order));
                continue;
            }
            // The host repeats what it has no answer to, under the same key.
            let key = IdempotencyKey::new(format!("order-{n}")).unwrap();
            let agent = worker(&runtime, &(n % AGENTS).to_string()).with_idempotency_key(key);
            let patience = Duration::from_millis(dice.roll(20));
            let asked = agent.ask::<_, serde_json::Value>(order.clone());
            if !matches!(tokio::time::timeout(patience, asked).await, Ok(Ok(_))) {
                left.push((n, order));
            }
            dies = dice.roll(15) == 0;
        }
        orders = left;
        drop(runtime);
    }
    let runtime = describe(store.clone(), &World::default()).start().await.unwrap();
    until("every message has arrived", async || {
        let dead = letters(&runtime).await.iter().map(|letter| letter.message.id).collect::<Vec<_>>();
        runtime.redrive(dead).await.unwrap();
        pending(store.as_ref()).await == 0 && letters(&runtime).await.is_empty()
    })
    .await;
    assert_eq!(total(&runtime).await, expected, "seed {seed}, {lives} lives");
    runtime.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn sums_match_in_memory_whatever_fails() {
    for seed in 1..=10 {
        tortured(Arc::new(InMemoryCheckpointStore::new()), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sums_match_over_every_store_on_many_threads_whatever_fails() {
    for seed in 100..=103 {
        let folder = tempfile::tempdir().unwrap();
        for store in stores(folder.path()).await {
            tortured(store, seed).await;
        }
    }
}
