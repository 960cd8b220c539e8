//! Who writes.

use super::RunStreamsHarness;
use super::scene::{Writer, assert_kind, epoch, event, id, read, run, shown, start};
use crate::ErrorKind;
use crate::runs::{AppendEvents, OpenRun};

/// Once a newer owner has opened a stream, the older one can neither append nor renew nor open, and is told why.
pub async fn an_older_owner_is_refused_and_told(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut older = Writer::open(&streams, "a", 9).await;
    older.write(&["one"]).await;
    // More digits: epochs are numbers.
    let mut newer = Writer::open(&streams, "a", 10).await;
    let error = assert_kind(older.try_append(vec![event("two")]).await, ErrorKind::Fenced);
    assert_eq!(error.context("epoch"), Some("0-10"));
    assert_kind(older.renew().await, ErrorKind::Fenced);
    assert_kind(streams.open(OpenRun::new(run("a"), epoch(9))).await, ErrorKind::Fenced);
    newer.write(&["three"]).await;
    let page = read(&streams, "a", None).await;
    assert_eq!(shown(&page.items), [(id(9, 1), "one".to_owned()), (id(10, 1), "three".to_owned())]);
}

/// Each owner counts anew, and its ids are higher than all before; an incarnation of the store stands above the counter.
pub async fn ids_rise_over_owners(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut first = Writer::open(&streams, "a", 1_795_000_000_000_000).await;
    first.write(&["one", "two"]).await;
    let restored = crate::runs::Epoch { incarnation: 1, counter: 2 };
    let append = AppendEvents::new(run("a"), restored, 1, vec![event("three")]);
    assert_eq!(streams.open(OpenRun::new(run("a"), restored)).await.expect("it opens"), 1);
    streams.append(append).await.expect("it is appended");
    let page = read(&streams, "a", Some(id(1_795_000_000_000_000, 1))).await;
    let ids: Vec<_> = page.items.iter().map(crate::runs::RunItem::position).collect();
    assert_eq!(ids, [id(1_795_000_000_000_000, 2), crate::runs::EventId::new(restored, 1)]);
}

/// One that opens a second time under its epoch learns how far it came.
pub async fn an_owner_that_opens_again_goes_on(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    writer.write(&["one", "two"]).await;
    assert_eq!(Writer::open(&streams, "a", 1).await.next, 3);
    writer.write(&["three"]).await;
    assert_eq!(read(&streams, "a", None).await.items.len(), 3);
}

/// A run that is repeated after its end goes on in its stream, which ends once more.
pub async fn a_stream_that_ended_goes_on_with_a_later_owner(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    Writer::open(&streams, "a", 1).await.end().await;
    assert!(read(&streams, "a", None).await.ended);
    let mut later = Writer::open(&streams, "a", 2).await;
    assert!(!read(&streams, "a", None).await.ended);
    later.write(&["one"]).await;
    let page = read(&streams, "a", None).await;
    assert_eq!(shown(&page.items), [(id(1, 1), "end".to_owned()), (id(2, 1), "one".to_owned())]);
    later.end().await;
    assert!(read(&streams, "a", None).await.ended);
}

/// A newer owner whose opening was lost takes the stream with its first append.
pub async fn an_append_under_a_newer_epoch_opens(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let older = Writer::open(&streams, "a", 1).await;
    let append = AppendEvents::new(run("a"), epoch(2), 1, vec![event("one")]);
    streams.append(append).await.expect("it is appended");
    assert_kind(older.try_append(vec![event("two")]).await, ErrorKind::Fenced);
}
