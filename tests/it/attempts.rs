//! A message that cannot be handled is tried some times, becomes a dead letter, and stands in nobody's way.

use std::sync::Arc;
use std::time::Duration;

use agentscale::prelude::*;
use agentscale::runtime::{RuntimeConfig, SupervisionConfig};
use agentscale::store::InMemoryCheckpointStore;
use tokio::time::Instant;

use crate::scene::{Do, World, describe, letters, pending, quick, stores, sum, until, worker};

#[tokio::test]
async fn an_event_that_always_fails_or_panics_is_a_dead_letter_and_works_once_the_agent_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        for broken in [Do::Fail(ErrorKind::Unavailable), Do::Panic] {
            let world = World::default();
            let runtime = describe(store.clone(), &world).start().await.unwrap();
            let before = sum(&runtime, "bob").await;
            worker(&runtime, "bob").tell(vec![Do::Add(1), broken.clone()]).await.unwrap();
            worker(&runtime, "alice")
                .tell(vec![Do::Send("bob".into(), vec![Do::Add(2), broken])])
                .await
                .unwrap();
            until("both are dead letters", async || letters(&runtime).await.len() == 2).await;
            assert_eq!(world.effects().len(), 6);
            assert_eq!(sum(&runtime, "bob").await, before);
            let letters = letters(&runtime).await;
            assert!(letters.iter().all(|letter| letter.attempts == 3), "{letters:?}");
            assert!(letters[0].cause.contains("obey: unavailable") || letters[0].cause.contains("panic"));
            assert_eq!(pending(store.as_ref()).await, 0);

            world.mend();
            let ids = letters.iter().map(|letter| letter.message.id).collect();
            assert_eq!(runtime.redrive(ids).await.unwrap(), 2);
            until("bob has done both", async || sum(&runtime, "bob").await == before + 3).await;
            until("the outbox is empty", async || pending(store.as_ref()).await == 0).await;
            assert_eq!(runtime.stats().dead_lettered, 2);
            runtime.drain(Duration::from_secs(5)).await;
        }
    }
}

#[tokio::test]
async fn an_error_that_another_attempt_can_only_repeat_is_final_at_once() {
    let world = World::default();
    let runtime = describe(InMemoryCheckpointStore::new(), &world).start().await.unwrap();
    worker(&runtime, "bob").tell(vec![Do::Fail(ErrorKind::InvalidInput)]).await.unwrap();
    until("it is a dead letter", async || letters(&runtime).await.len() == 1).await;
    assert_eq!(world.effects(), ["attempt"]);
}

#[tokio::test]
async fn a_message_that_ends_the_process_again_and_again_is_a_dead_letter_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        for receiver in ["worker", "forgetful"] {
            let world = World::default();
            for life in 1..=3 {
                let runtime = describe(store.clone(), &world).start().await.unwrap();
                if life == 1 {
                    let killer = Do::SendTo(receiver.into(), "victim".into(), vec![Do::Hang]);
                    worker(&runtime, "alice").tell(vec![killer]).await.unwrap();
                }
                until("the message is being handled", async || world.effects().len() == life).await;
                // Dropped in the middle of the turn, as if the process had died.
                drop(runtime);
                until("the turn is gone", async || Arc::strong_count(&world.effects) == 1).await;
            }
            let runtime = describe(store.clone(), &world).start().await.unwrap();
            until("it is a dead letter", async || letters(&runtime).await.len() == 1).await;
            assert_eq!(world.effects().len(), 3);
            assert_eq!(pending(store.as_ref()).await, 0);
            let id = letters(&runtime).await[0].message.id;
            world.mend();
            assert_eq!(runtime.redrive(vec![id]).await.unwrap(), 1);
            until("it is handled", async || pending(store.as_ref()).await == 0 && runtime.stats().turns == 1)
                .await;
            drop(runtime);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_other_messages_of_an_agent_are_handled_between_the_attempts_which_come_ever_later() {
    let supervision = SupervisionConfig {
        max_attempts: 6,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(5),
    };
    let world = World::default();
    let runtime = describe(InMemoryCheckpointStore::new(), &world)
        .config(RuntimeConfig { supervision, ..quick() })
        .start()
        .await
        .unwrap();
    let began = Instant::now();
    worker(&runtime, "bob").tell(vec![Do::Panic]).await.unwrap();
    let mut attempts = Vec::new();
    while letters(&runtime).await.is_empty() {
        let before = world.effects().len();
        tokio::time::sleep(Duration::from_millis(100)).await;
        if world.effects().len() > before {
            attempts.push(began.elapsed().as_secs_f64().round() as u64);
            worker(&runtime, "bob").tell(vec![Do::Add(1)]).await.unwrap();
        }
    }
    // Waits of 1, 2, 4, 5 and 5 seconds.
    assert_eq!(attempts, [0, 1, 3, 7, 12, 17]);
    assert_eq!(sum(&runtime, "bob").await, 6);
}
