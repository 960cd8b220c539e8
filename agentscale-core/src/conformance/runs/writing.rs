//! What is appended.

use super::RunStreamsHarness;
use super::scene::{Writer, assert_kind, epoch, event, id, limits, read, run, shown, start, texts};
use crate::ErrorKind;
use crate::runs::{AppendEvents, NewEvent, RunItem};

/// Events come back in their order, with their names, bytes and ids that rise.
pub async fn events_come_back_as_they_were_appended(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 7).await;
    assert_eq!(writer.next, 1);
    assert_eq!(read(&streams, "a", None).await.items, []);
    let bytes: Vec<u8> = (0..=255).collect();
    let odd = NewEvent::new("tool ✓".try_into().expect("a name"), bytes.clone());
    writer.append(vec![event("one"), odd]).await;
    writer.append(vec![event("")]).await;
    let page = read(&streams, "a", None).await;
    assert!(!page.ended);
    let events: Vec<_> = page
        .items
        .into_iter()
        .map(|item| match item {
            RunItem::Event(event) => (event.id, event.name.as_str().to_owned(), event.data.to_vec()),
            RunItem::Gap { .. } => panic!("nothing is missing"),
        })
        .collect();
    let expected = [
        (id(7, 1), "text".to_owned(), b"one".to_vec()),
        (id(7, 2), "tool ✓".to_owned(), bytes),
        (id(7, 3), "text".to_owned(), Vec::new()),
    ];
    assert_eq!(events, expected);
}

/// An append whose answer was lost is repeated, with more behind it or without, and each event stands there once.
pub async fn a_repeated_append_adds_nothing(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let writer = Writer::open(&streams, "a", 1).await;
    writer.try_append(vec![event("one"), event("two")]).await.expect("they are appended");
    writer.try_append(vec![event("one"), event("two")]).await.expect("they are there");
    writer.try_append(vec![event("one"), event("two"), event("three")]).await.expect("one is new");
    writer.try_append(Vec::new()).await.expect("there is nothing to do");
    let page = read(&streams, "a", None).await;
    let texts = ["one", "two", "three"].map(str::to_owned);
    assert_eq!(shown(&page.items), [id(1, 1), id(1, 2), id(1, 3)].into_iter().zip(texts).collect::<Vec<_>>());
}

/// An event over its limit is refused, and what came with it.
pub async fn an_event_over_its_limit_is_refused_with_all_of_its_append(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    let most = limits().event_bytes - "text".len();
    let large = event(&"x".repeat(most + 1));
    assert_kind(writer.try_append(vec![event("one"), large]).await, ErrorKind::TooLarge);
    assert_eq!(read(&streams, "a", None).await.items, []);
    writer.append(vec![event(&"x".repeat(most))]).await;
    assert_eq!(read(&streams, "a", None).await.items.len(), 1);
}

/// Events are numbered from 1 on.
pub async fn numbers_out_of_bounds_are_invalid(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    for first in [0, u64::MAX] {
        let append = AppendEvents::new(run("a"), epoch(1), first, vec![event("one"), event("two")]);
        assert_kind(streams.append(append).await, ErrorKind::InvalidInput);
    }
}

/// What stands behind the event that ends a stream is not taken, in its append or later; the end itself can be repeated.
pub async fn nothing_is_appended_behind_the_end(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    writer.try_append(vec![event("one"), event("end").ending(), event("two")]).await.expect("it ends");
    let page = read(&streams, "a", None).await;
    assert_eq!((texts(&page.items), page.ended), (vec!["one".to_owned(), "end".to_owned()], true));
    writer.try_append(vec![event("one"), event("end").ending()]).await.expect("it has ended so");
    writer.next = 3;
    assert_kind(writer.try_append(vec![event("two")]).await, ErrorKind::Conflict);
    assert_eq!(read(&streams, "a", None).await, page);
}
