//! Causal order survives a restart and a wall clock that steps back.

use std::sync::Arc;
use std::time::Duration;

use agentscale::core::checkpoint::HistoryRequest;
use agentscale::core::time::ManualClock;
use agentscale::prelude::*;
use agentscale::store::InMemoryCheckpointStore;

use crate::scene::{Do, Sum, World, describe, pending, sum, until, worker};

#[tokio::test]
async fn stamps_of_a_thread_rise_though_the_wall_clock_steps_back_at_a_restart() {
    let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
    for ahead in [400, 200, 0] {
        let clock = ManualClock::new();
        clock.advance(Duration::from_millis(ahead));
        let runtime = describe(store.clone(), &World::default()).clock(clock).start().await.unwrap();
        worker(&runtime, "alice").ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap();
        runtime.drain(Duration::from_secs(5)).await;
    }
    let thread = AgentId::new(&crate::scene::acme(), "worker", "alice").unwrap();
    let history = store.history(HistoryRequest::new(thread, 10)).await.unwrap();
    let stamps: Vec<_> = history.iter().rev().map(|info| info.stamp).collect();
    assert_eq!(stamps.len(), 3);
    assert!(stamps.is_sorted_by(|earlier, later| earlier < later), "{stamps:?}");
}

#[tokio::test]
async fn a_message_of_an_earlier_process_counts_as_sent_again_whatever_its_stamp_says() {
    let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
    let world = World::default();
    for life in 1..=5 {
        // Each process starts an hour before the one that sent the message.
        let clock = ManualClock::new();
        if life == 1 {
            clock.advance(Duration::from_secs(3_600));
        }
        let runtime = describe(store.clone(), &world).clock(clock).start().await.unwrap();
        if life == 1 {
            let order = vec![Do::Send("victim".into(), vec![Do::Hang])];
            worker(&runtime, "alice").tell(order).await.unwrap();
        }
        if life <= 3 {
            until("it is being handled", async || world.effects().len() == life).await;
        } else {
            until("it is a dead letter", async || pending(store.as_ref()).await == 0).await;
        }
    }
    assert_eq!(world.effects().len(), 3);
    let runtime = describe(store, &world).start().await.unwrap();
    assert_eq!(sum(&runtime, "victim").await, 0);
}
