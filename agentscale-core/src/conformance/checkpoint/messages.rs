//! The outbox and the dead letters.

use super::CheckpointStoreHarness;
use super::scene::{Owner, agent, message, outbox, replace, store};
use crate::checkpoint::{Attempted, DeadLetter, OutboxMessage};
use crate::{ErrorKind, MessageId};

/// A message stands in the outbox once its commit stands, and only then.
pub async fn a_message_is_pending_after_its_commit(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let mut refused = owner.next(vec![]);
    refused.expected.0 = 5;
    refused.outbox.push(message("never"));
    assert_eq!(store.commit(refused).await.expect_err("it is refused").kind(), ErrorKind::Conflict);
    let sent = message("hello");
    let mut commit = owner.next(vec![]);
    commit.outbox.push(sent.clone());
    owner.send(commit).await.expect("the owner commits");
    let page = store.pending_outbox(None, 10).await.expect("the outbox is read");
    assert_eq!((page.entries.len(), page.next), (1, None));
    let entry = &page.entries[0];
    assert_eq!((&entry.from, &entry.message, entry.attempts), (&agent("a"), &sent, 0));
}

/// The receiver's commit settles the message that it handled.
pub async fn a_message_is_settled_by_its_receivers_commit(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut sender = Owner::claim(&store, agent("a")).await;
    let (handled, other) = (message("handled"), message("other"));
    let mut commit = sender.next(vec![]);
    commit.outbox = vec![handled.clone(), other.clone()];
    sender.send(commit).await.expect("the sender commits");
    let mut receiver = Owner::claim(&store, agent("b")).await;
    let mut commit = receiver.next(vec![replace("plan", "1")]);
    commit.settles = Some(handled.id);
    receiver.send(commit).await.expect("the receiver commits");
    assert_eq!(outbox(&store).await, [(other.id, 0)]);
}

/// A message is handled once: the commit of a second turn that handled it changes nothing.
pub async fn a_settled_message_cannot_be_settled_by_another_commit(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut sender = Owner::claim(&store, agent("a")).await;
    let handled = message("handled");
    let mut commit = sender.next(vec![]);
    commit.outbox = vec![handled.clone()];
    sender.send(commit).await.expect("the sender commits");
    let mut receiver = Owner::claim(&store, agent("b")).await;
    let mut first = receiver.next(vec![replace("plan", "1")]);
    first.settles = Some(handled.id);
    let committed = receiver.send(first.clone()).await.expect("the receiver commits");
    let mut late = Owner::claim(&store, agent("b")).await;
    let mut second = late.next(vec![replace("plan", "2")]);
    second.settles = Some(handled.id);
    assert_eq!(late.send(second).await.expect_err("it was handled").kind(), ErrorKind::Conflict);
    let mut next = late.next(vec![]);
    next.outbox.push(message("after"));
    assert_eq!(late.send(next).await.expect("the owner commits").version.0, committed.version.0 + 1);
}

/// Messages are settled by id; unknown ids are passed over.
pub async fn messages_are_settled_by_id(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let messages = send(&mut Owner::claim(&store, agent("a")).await, 3).await;
    let ids = vec![messages[0].id, MessageId::new(9), messages[2].id];
    store.settle_outbox(ids).await.expect("they are settled");
    assert_eq!(outbox(&store).await, [(messages[1].id, 0)]);
}

/// The outbox is listed oldest first, page by page.
pub async fn the_outbox_is_listed_by_pages(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let messages = send(&mut Owner::claim(&store, agent("a")).await, 5).await;
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = store.pending_outbox(after, 2).await.expect("the outbox is read");
        listed.extend(page.entries.into_iter().map(|entry| entry.message));
        let Some(next) = page.next else { break };
        assert_eq!(listed.len() % 2, 0);
        after = Some(next);
    }
    assert_eq!(listed, messages);
}

/// Attempts are counted; those of a message that is not in the outbox are not.
pub async fn attempts_are_counted(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let messages = send(&mut Owner::claim(&store, agent("a")).await, 2).await;
    for attempts in 1..=3 {
        let attempted = store.record_attempt(messages[0].id).await.expect("it is counted");
        assert_eq!(attempted, Some(Attempted { attempts }));
    }
    assert_eq!(store.record_attempt(MessageId::new(9)).await.expect("it is passed over"), None);
    assert_eq!(outbox(&store).await, [(messages[0].id, 3), (messages[1].id, 0)]);
}

/// A buried message leaves the outbox and is kept with its cause.
pub async fn a_buried_message_is_a_dead_letter(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let messages = send(&mut Owner::claim(&store, agent("a")).await, 2).await;
    let letters: Vec<_> = messages
        .iter()
        .map(|message| DeadLetter::new(agent("a"), message.clone(), 4, "it panicked"))
        .collect();
    for letter in &letters {
        store.bury(letter.clone()).await.expect("it is buried");
    }
    assert!(outbox(&store).await.is_empty());
    let page = store.dead_letters(None, 1).await.expect("they are listed");
    assert_eq!(page.letters, letters[..1]);
    let page = store.dead_letters(page.next, 1).await.expect("they are listed");
    assert_eq!((page.letters, page.next), (letters[1..].to_vec(), None));
}

/// A message from the outbox is buried only while it stands there: one that was settled was handled.
pub async fn a_settled_message_is_not_buried(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let messages = send(&mut Owner::claim(&store, agent("a")).await, 2).await;
    store.settle_outbox(vec![messages[0].id]).await.expect("it is settled");
    for message in &messages {
        let letter = DeadLetter::new(agent("a"), message.clone(), 4, "it panicked").only_if_pending();
        store.bury(letter).await.expect("it is buried or passed over");
    }
    let page = store.dead_letters(None, 10).await.expect("they are listed");
    assert_eq!(page.letters, [DeadLetter::new(agent("a"), messages[1].clone(), 4, "it panicked")]);
    assert!(outbox(&store).await.is_empty());
}

/// A dead letter is put back into the outbox with no attempts; unknown ids are passed over.
pub async fn a_dead_letter_is_redriven(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let messages = send(&mut Owner::claim(&store, agent("a")).await, 1).await;
    // The second sender has no thread here.
    let foreign = DeadLetter::new(agent("elsewhere"), message("foreign"), 7, "no such agent");
    store
        .bury(DeadLetter::new(agent("a"), messages[0].clone(), 4, "it panicked"))
        .await
        .expect("it is buried");
    store.bury(foreign.clone()).await.expect("it is buried");
    let ids = vec![messages[0].id, MessageId::new(9), foreign.message.id];
    let entries = store.redrive(ids.clone()).await.expect("they are redriven");
    assert_eq!(entries.len(), 2);
    assert_eq!((&entries[1].from, &entries[1].message), (&foreign.from, &foreign.message));
    assert_eq!(outbox(&store).await, [(messages[0].id, 0), (foreign.message.id, 0)]);
    assert!(store.dead_letters(None, 10).await.expect("they are listed").letters.is_empty());
    assert!(store.redrive(ids).await.expect("nothing is left").is_empty());
}

async fn send(owner: &mut Owner, count: usize) -> Vec<OutboxMessage> {
    let messages: Vec<_> = (0..count).map(|_| message("hello")).collect();
    let mut commit = owner.next(vec![]);
    commit.outbox.clone_from(&messages);
    owner.send(commit).await.expect("the owner commits");
    messages
}
