//! What is read.

use std::time::Duration;

use futures::FutureExt;
use tokio::time::{sleep, timeout};

use super::RunStreamsHarness;
use super::scene::{LONG, SHORT, Writer, assert_kind, id, read, run, run_of, shown, start, texts};
use crate::ErrorKind;
use crate::runs::{ReadEvents, RunFollower};

/// Reading goes on behind any id, also one that the text of a client gave back.
pub async fn a_reader_resumes_behind_the_last_event_that_it_saw(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 5).await;
    writer.write(&["one", "two", "three"]).await;
    let seen = read(&streams, "a", None).await.items[0].position().to_string();
    let page = read(&streams, "a", Some(seen.parse().expect("an id"))).await;
    assert_eq!(texts(&page.items), ["two", "three"]);
    assert_eq!(read(&streams, "a", Some(id(5, 3))).await.items, []);
    // Where a stream begins under an epoch, nothing was.
    assert_eq!(read(&streams, "a", Some(id(5, 0))).await.items.len(), 3);
}

/// A page holds as many as were asked for; reading goes on behind it.
pub async fn a_page_holds_at_most_its_limit(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    writer.write(&["one", "two"]).await;
    writer.end().await;
    let (mut after, mut read) = (None, Vec::new());
    for expected in [false, true] {
        let request = ReadEvents::new(run("a")).after(after).with_limit(2);
        let page = streams.read(request).await.expect("it is read");
        assert_eq!(page.ended, expected);
        after = page.items.last().map(crate::runs::RunItem::position);
        read.extend(texts(&page.items));
    }
    assert_eq!(read, ["one", "two", "end"]);
}

/// An event wakes all who wait for it, wherever each stands.
pub async fn a_reader_waits_for_the_next_event(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    let mut other = Writer::open(&streams, "b", 1).await;
    writer.write(&["one"]).await;
    for next in ["two", "three", "four"] {
        let last = Some(id(1, writer.next - 1));
        let wait = || streams.read(ReadEvents::new(run("a")).after(last).with_wait(LONG));
        let write = async {
            sleep(Duration::from_millis(20)).await;
            other.write(&["elsewhere"]).await;
            writer.write(&[next]).await;
        };
        let ((), first, second) = futures::join!(write, wait(), wait());
        for page in [first, second] {
            assert_eq!(texts(&page.expect("it is read").items), [next]);
        }
    }
}

/// Who comes before the run has begun gets its first event.
pub async fn a_reader_waits_for_a_stream_to_begin(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let read = streams.read(ReadEvents::new(run("a")).with_wait(LONG));
    let write = async {
        sleep(Duration::from_millis(20)).await;
        Writer::open(&streams, "a", 1).await.write(&["one"]).await;
    };
    let (page, ()) = futures::join!(read, write);
    assert_eq!(texts(&page.expect("it is read").items), ["one"]);
}

/// A wait is as long as was asked for; then a stream gave nothing, and one that has not begun is not found.
pub async fn a_wait_ends_though_nothing_came(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let wait = Duration::from_millis(30);
    let began = tokio::time::Instant::now();
    assert_kind(streams.read(ReadEvents::new(run("a")).with_wait(wait)).await, ErrorKind::NotFound);
    assert!(began.elapsed() >= wait);
    assert_kind(streams.read(ReadEvents::new(run("a"))).await, ErrorKind::NotFound);
    Writer::open(&streams, "a", 1).await;
    let began = tokio::time::Instant::now();
    let page = streams.read(ReadEvents::new(run("a")).with_wait(wait)).await.expect("it is read");
    assert_eq!((page.items.len(), page.ended), (0, false));
    assert!(began.elapsed() >= wait);
}

/// One that stops waiting leaves the others waiting, and the event where it is.
pub async fn a_dropped_reader_takes_nothing_from_others(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    let request = || ReadEvents::new(run("a")).with_wait(LONG);
    let stays = streams.read(request());
    let leaves = timeout(Duration::from_millis(20), streams.read(request()));
    let write = async {
        sleep(SHORT).await;
        writer.write(&["one"]).await;
    };
    let (stayed, left, ()) = futures::join!(stays, leaves, write);
    assert!(left.is_err());
    assert_eq!(texts(&stayed.expect("it is read").items), ["one"]);
    let again = streams.read(request()).await.expect("it is read");
    assert_eq!(texts(&again.items), ["one"]);
}

/// An id that no event has yet is refused at once, also by a reader that would wait.
pub async fn an_id_from_the_future_is_invalid(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    Writer::open(&streams, "a", 1).await.write(&["one", "two"]).await;
    for after in [id(1, 3), id(2, 0), id(2, 1)] {
        let request = ReadEvents::new(run("a")).after(Some(after)).with_wait(LONG);
        let error = timeout(LONG / 2, streams.read(request)).await.expect("it does not wait");
        let error = assert_kind(error, ErrorKind::InvalidInput);
        assert_eq!(error.context("last"), Some("0-1-2"));
    }
}

/// Behind the end there is nothing, and nobody waits for it.
pub async fn who_has_read_the_end_waits_for_nothing(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let mut writer = Writer::open(&streams, "a", 1).await;
    writer.end().await;
    let request = ReadEvents::new(run("a")).after(Some(id(1, 1))).with_wait(LONG);
    let page = timeout(LONG / 2, streams.read(request)).await.expect("it does not wait").expect("it is read");
    assert_eq!((page.items.len(), page.ended), (0, true));
}

/// A follower that comes before the run, one that comes in its midst and one that comes back see each event once.
pub async fn a_follower_sees_a_run_from_its_beginning_to_its_end(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let follow = async |mut follower: RunFollower| {
        let mut seen = Vec::new();
        while let Some(item) = follower.next().await.expect("it is read") {
            seen.push(item);
        }
        (shown(&seen), follower.position())
    };
    let from_the_beginning = follow(RunFollower::new(streams.clone(), run("a"), None));
    let write = async {
        let mut writer = Writer::open(&streams, "a", 1).await;
        writer.write(&["one"]).await;
        let mut halfway = RunFollower::new(streams.clone(), run("a"), None);
        let first = halfway.next().await.expect("it is read").expect("it goes on");
        assert!(halfway.next().now_or_never().is_none());
        let back = follow(RunFollower::new(streams.clone(), run("a"), Some(first.position())));
        let rest = async {
            for number in 2..=10 {
                sleep(Duration::from_millis(1)).await;
                writer.write(&[&number.to_string()]).await;
            }
            writer.end().await;
        };
        futures::join!(back, follow(halfway), rest)
    };
    let ((all, position), (back, halfway, ())) = futures::join!(from_the_beginning, write);
    let texts: Vec<_> = all.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["one", "2", "3", "4", "5", "6", "7", "8", "9", "10", "end"]);
    assert_eq!(back.0, all[1..]);
    assert_eq!(halfway.0, all[1..]);
    assert_eq!([position, back.1, halfway.1], [Some(id(1, 11)); 3]);
}

/// A stream is that of one turn of one agent of one tenant.
pub async fn tenants_agents_and_turns_are_apart(harness: &dyn RunStreamsHarness) {
    let streams = start(harness).await;
    let runs = [
        run_of("acme", "writer", "alice", "a"),
        run_of("acme", "writer", "alice", "b"),
        run_of("acme", "writer", "bob", "a"),
        run_of("acme", "reader", "alice", "a"),
        run_of("evil", "writer", "alice", "a"),
        run_of("acme", "writer", "alice:a", "a"),
        run_of("acme", "writer", "alice", "a:a"),
    ];
    for run in &runs {
        Writer::open_run(&streams, run.clone(), 1).await.write(&[&run.to_string()]).await;
    }
    for run in &runs {
        let page = streams.read(ReadEvents::new(run.clone())).await.expect("it is read");
        assert_eq!(texts(&page.items), [run.to_string()]);
    }
}
