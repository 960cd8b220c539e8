//! Messages leave after the commit, reach their receiver once, and are not forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agentscale::core::transport::{MailboxLimits, Subscription, TransportExt};
use agentscale::prelude::*;
use agentscale::store::InMemoryCheckpointStore;

use crate::meddling::{Fate, Meddled};
use crate::scene::{Do, Worker, World, acme, describe, letters, pending, quick, stores, sum, until, worker};

fn add_to(key: &str, more: u64) -> Vec<Do> {
    vec![Do::Send(key.into(), vec![Do::Add(more)])]
}

#[tokio::test]
async fn a_message_leaves_after_the_commit_and_is_settled_with_its_receivers() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let runtime = describe(store.clone(), &World::default()).start().await.unwrap();
        worker(&runtime, "alice").ask::<_, serde_json::Value>(add_to("bob", 5)).await.unwrap();
        until("bob heard", async || sum(&runtime, "bob").await == 5).await;
        until("the outbox is empty", async || pending(store.as_ref()).await == 0).await;

        let failing = vec![Do::Send("bob".into(), vec![Do::Add(1)]), Do::Fail(ErrorKind::InvalidInput)];
        worker(&runtime, "alice").ask::<_, serde_json::Value>(failing).await.unwrap_err();
        runtime.drain(Duration::from_secs(5)).await;
        drop(runtime);
        let runtime = describe(store.clone(), &World::default()).start().await.unwrap();
        assert_eq!(sum(&runtime, "bob").await, 5);
        assert_eq!(pending(store.as_ref()).await, 0);
    }
}

#[tokio::test]
async fn what_a_dead_process_had_committed_is_sent_at_the_next_start_and_handled_once() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        // The commits of this process are done, and it never learns of it: it dies waiting.
        let dying = Meddled::new(store.clone(), |name| match name {
            "commit" => Fate::HangAfter,
            _ => Fate::Pass,
        });
        let runtime = describe(dying, &World::default()).start().await.unwrap();
        for sender in 0..10 {
            worker(&runtime, &format!("sender-{sender}")).tell(add_to("bob", 1)).await.unwrap();
        }
        until("all is committed", async || pending(store.as_ref()).await == 10).await;
        drop(runtime);

        for _ in 0..2 {
            let runtime = describe(store.clone(), &World::default()).start().await.unwrap();
            until("the outbox is empty", async || pending(store.as_ref()).await == 0).await;
            assert_eq!(sum(&runtime, "bob").await, 10);
            runtime.drain(Duration::from_secs(5)).await;
        }
    }
}

#[tokio::test]
async fn a_commit_that_was_refused_or_whose_answer_was_lost_counts_once_and_its_messages_leave() {
    for (fate, lost) in (1..=7).flat_map(|lost| [(Fate::Refuse, lost), (Fate::LoseAnswer, lost)]) {
        let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
        let answers = AtomicU32::new(0);
        let losing = Meddled::new(store.clone(), move |name| match name {
            "commit" if answers.fetch_add(1, Ordering::SeqCst) < lost => fate,
            _ => Fate::Pass,
        });
        tokio::time::pause();
        let runtime = describe(losing, &World::default()).start().await.unwrap();
        let order = vec![Do::Add(2), Do::Send("bob".into(), vec![Do::Add(3)])];
        worker(&runtime, "alice").tell(order).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(
            (sum(&runtime, "alice").await, sum(&runtime, "bob").await),
            (2, 3),
            "{fate:?} {lost} times"
        );
        assert_eq!(pending(store.as_ref()).await, 0);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn messages_that_find_no_room_are_sent_later() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let narrow = Pool::stateful().with_mailbox(MailboxLimits::new(1, 1 << 20));
        let runtime = describe(store.clone(), &World::default())
            .pool("narrow", Worker(World::default()), narrow)
            .start()
            .await
            .unwrap();
        let flood = (0..50).map(|_| Do::SendTo("narrow".into(), "bob".into(), vec![Do::Add(1)])).collect();
        worker(&runtime, "alice").tell::<Vec<Do>>(flood).await.unwrap();
        until("the outbox is empty", async || {
            runtime.stats().turns > 0 && pending(store.as_ref()).await == 0
        })
        .await;
        let bob = runtime.agent(&acme(), "narrow", "bob").unwrap();
        assert_eq!(bob.ask::<_, crate::scene::Sum>(Vec::<Do>::new()).await.unwrap().sum, 50);
    }
}

#[tokio::test]
async fn a_receiver_that_keeps_nothing_settles_what_it_has_handled() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let world = World::default();
        let runtime = describe(store.clone(), &world).start().await.unwrap();
        let order = vec![Do::SendTo("forgetful".into(), "carol".into(), vec![Do::Effect("heard".into())])];
        worker(&runtime, "alice").tell(order).await.unwrap();
        until("the effect and the settlement", async || {
            world.effects() == ["heard"] && pending(store.as_ref()).await == 0
        })
        .await;
    }
}

#[tokio::test]
async fn what_the_store_could_not_be_told_is_settled_later() {
    let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
    let refusals = AtomicU32::new(0);
    let refusing = Meddled::new(store.clone(), move |name| match name {
        "settle_outbox" if refusals.fetch_add(1, Ordering::SeqCst) < 3 => Fate::Refuse,
        _ => Fate::Pass,
    });
    tokio::time::pause();
    let world = World::default();
    let runtime = describe(refusing, &world).start().await.unwrap();
    let order = vec![Do::SendTo("forgetful".into(), "carol".into(), vec![Do::Effect("heard".into())])];
    worker(&runtime, "alice").tell(order).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(pending(store.as_ref()).await, 0);
    assert_eq!(world.effects(), ["heard"]);
}

#[tokio::test]
async fn topic_events_leave_after_the_commit_and_not_from_a_failed_turn() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let runtime = describe(store.clone(), &World::default()).start().await.unwrap();
        let subscription = Subscription::topic(acme(), Topic::new("news").unwrap());
        let mut news = runtime.transport().subscribe(subscription, MailboxLimits::default()).await.unwrap();
        let failing = vec![Do::Publish("news".into()), Do::Fail(ErrorKind::InvalidInput)];
        worker(&runtime, "alice").ask::<_, ()>(failing).await.unwrap_err();
        worker(&runtime, "alice").tell(vec![Do::Publish("news".into())]).await.unwrap();
        let first = news.next().await;
        assert_eq!(first.message.from.as_ref().unwrap().key.as_str(), "alice");
        until("it is settled", async || pending(store.as_ref()).await == 0).await;
        assert!(news.try_next().is_none());
    }
}

#[tokio::test]
async fn a_message_to_a_type_without_a_pool_is_a_dead_letter_with_its_cause() {
    let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
    let runtime = describe(store.clone(), &World::default()).config(quick()).start().await.unwrap();
    let order = vec![Do::SendTo("nobody".into(), "x".into(), vec![])];
    worker(&runtime, "alice").tell(order).await.unwrap();
    until("it is a dead letter", async || letters(&runtime).await.len() == 1).await;
    assert!(letters(&runtime).await[0].cause.contains("not_found"));
    assert_eq!(pending(store.as_ref()).await, 0);
}
