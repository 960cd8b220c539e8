//! What a stream holds, and for how long.

use super::RunStreamsHarness;
use super::scene::{SHORT, Writer, assert_kind, event, id, limits, read, run, shown, start, texts};
use crate::ErrorKind;
use crate::runs::{ReadEvents, RunItem, RunStreamLimits};

fn gap(after: Option<crate::runs::EventId>, until: crate::runs::EventId) -> RunItem {
    RunItem::Gap { after, until }
}

/// Of more events than a stream holds the newest are kept. Whoever has not seen the others is told which.
pub async fn the_oldest_events_make_room_and_readers_learn_of_it(harness: &dyn RunStreamsHarness) {
    let streams = harness.start(RunStreamLimits { events: 3, ..limits() }).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    writer.write(&["1", "2"]).await;
    writer.write(&["3", "4", "5", "6", "7"]).await;
    let page = read(&streams, "a", None).await;
    assert_eq!(page.items[0], gap(None, id(1, 4)));
    assert_eq!(texts(&page.items[1..]), ["5", "6", "7"]);
    let page = read(&streams, "a", Some(id(1, 2))).await;
    assert_eq!(page.items[0], gap(Some(id(1, 2)), id(1, 4)));
    assert_eq!(page.items.len(), 4);
    assert_eq!(texts(&read(&streams, "a", Some(id(1, 4))).await.items), ["5", "6", "7"]);
    let mut later = Writer::open(&streams, "a", 2).await;
    later.write(&["8", "9", "10"]).await;
    let page = read(&streams, "a", Some(id(1, 6))).await;
    assert_eq!(page.items[0], gap(Some(id(1, 6)), id(1, 7)));
    assert_eq!(texts(&page.items[1..]), ["8", "9", "10"]);
}

/// The bytes of names and data are bounded as their number is.
pub async fn the_oldest_bytes_make_room_and_readers_learn_of_it(harness: &dyn RunStreamsHarness) {
    let streams = harness.start(RunStreamLimits { bytes: 2_500, ..limits() }).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    let large = |text: &str| event(&text.repeat(996));
    writer.append(vec![event("small"), large("a"), large("b"), large("c")]).await;
    let page = read(&streams, "a", None).await;
    assert_eq!(page.items[0], gap(None, id(1, 2)));
    assert_eq!(texts(&page.items[1..]), ["b".repeat(996), "c".repeat(996)]);
    writer.append(vec![large("d")]).await;
    assert_eq!(texts(&read(&streams, "a", Some(id(1, 3))).await.items), ["c".repeat(996), "d".repeat(996)]);
}

/// Numbers that an owner left out are a gap between what it appended.
pub async fn events_that_were_never_appended_are_a_gap(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    writer.write(&["one"]).await;
    writer.next = 5;
    writer.write(&["five"]).await;
    let page = read(&streams, "a", None).await;
    let after = format!("gap after {:?}", Some(id(1, 1)));
    let expected = [(id(1, 1), "one".to_owned()), (id(1, 4), after), (id(1, 5), "five".to_owned())];
    assert_eq!(shown(&page.items), expected);
    assert_eq!(texts(&read(&streams, "a", Some(id(1, 4))).await.items), ["five"]);
}

/// A stream nobody appends to or renews is gone after its time.
pub async fn a_stream_ends_with_its_time(harness: &dyn RunStreamsHarness) {
    let streams = harness.start(RunStreamLimits { ttl: SHORT, ..limits() }).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    writer.write(&["one"]).await;
    harness.pass(SHORT * 2).await;
    for after in [None, Some(id(1, 1))] {
        let request = ReadEvents::new(run("a")).after(after);
        assert_kind(streams.read(request).await, ErrorKind::NotFound);
    }
    assert_kind(writer.renew().await, ErrorKind::NotFound);
}

/// While its run lives, a stream does.
pub async fn renewals_and_appends_keep_a_stream(harness: &dyn RunStreamsHarness) {
    let streams = harness.start(RunStreamLimits { ttl: SHORT * 4, ..limits() }).await;
    let mut appended = Writer::open(&streams, "a", 1).await;
    let mut renewed = Writer::open(&streams, "b", 1).await;
    let opened = Writer::open(&streams, "c", 1).await;
    let left = Writer::open(&streams, "d", 1).await;
    renewed.write(&["one"]).await;
    for _ in 0..3 {
        appended.write(&["one"]).await;
        renewed.renew().await.expect("it is there");
        Writer::open(&streams, "c", 1).await;
        harness.pass(SHORT * 2).await;
    }
    assert_eq!(read(&streams, "a", None).await.items.len(), 3);
    assert_eq!(read(&streams, "b", None).await.items.len(), 1);
    opened.renew().await.expect("it is there");
    assert_kind(left.renew().await, ErrorKind::NotFound);
}

/// A stream that was lost, or whose time passed, comes back with the next append of its owner. What was before is a gap,
/// and an owner that is older still is refused once a newer one has written.
pub async fn an_owner_whose_stream_is_gone_goes_on_and_readers_learn_of_it(harness: &dyn RunStreamsHarness) {
    let streams = harness.start(RunStreamLimits { ttl: SHORT * 2, ..limits() }).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    writer.write(&["one", "two"]).await;
    harness.pass(SHORT * 3).await;
    writer.write(&["three"]).await;
    let page = read(&streams, "a", Some(id(1, 1))).await;
    assert_eq!(page.items[0], gap(Some(id(1, 1)), id(1, 2)));
    assert_eq!(texts(&page.items[1..]), ["three"]);
    assert_eq!(read(&streams, "a", None).await.items[0], gap(None, id(1, 2)));
    assert_eq!(texts(&read(&streams, "a", Some(id(1, 2))).await.items), ["three"]);
    harness.pass(SHORT * 3).await;
    let mut later = Writer::open(&streams, "a", 2).await;
    later.write(&["four"]).await;
    assert_kind(writer.try_append(vec![event("five")]).await, ErrorKind::Fenced);
    let page = read(&streams, "a", Some(id(1, 3))).await;
    assert_eq!(page.items[0], gap(Some(id(1, 3)), id(2, 0)));
    assert_eq!(texts(&page.items[1..]), ["four"]);
}
