//! Redis goes, and comes back empty.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::runs::{EventId, RunFollower, RunItem, RunPage, RunStreamLimits};
use agentscale_core::{ErrorKind, RunStreams};
use agentscale_store::RedisRunStreams;

use super::scene::{append, config, id, namespace, numbers, open, read, run};
use crate::own_redis::OwnRedis;

/// Fails soon.
fn process(url: &str, namespace: &str) -> RedisRunStreams {
    let mut config = config(RunStreamLimits::default());
    config.wait = Duration::from_secs(1);
    config.breaker.open_for = Duration::from_millis(20);
    RedisRunStreams::new(url, namespace, &config).expect("the configuration works")
}

/// As a writer does that lives on.
async fn append_until_taken(streams: &RedisRunStreams, number: u64) {
    for _ in 0..3_000 {
        match append(streams, "a", number).await {
            Ok(()) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("redis does not come back");
}

/// As a client does that comes back.
async fn read_until_answered(streams: &RedisRunStreams, seen: Option<EventId>) -> RunPage {
    for _ in 0..3_000 {
        match read(streams, "a", seen).await {
            Ok(page) => return page,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("redis does not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_gone_all_is_unavailable_and_readers_resume_when_it_is_back() {
    let Some(server) = tokio::task::block_in_place(OwnRedis::start) else { return };
    let (url, namespace) = (server.url(), namespace());
    let (writer, reader) = (process(&url, &namespace), process(&url, &namespace));
    open(&writer, "a").await;
    let (mut number, mut seen) = (1, None);
    for _ in 0..3 {
        append_until_taken(&writer, number).await;
        let page = read_until_answered(&reader, seen).await;
        assert_eq!(numbers(&page.items).last(), Some(&Some(number)));
        seen = Some(id(number));

        // One waits as it goes.
        let waits = tokio::spawn({
            let reader = reader.clone();
            async move { read(&reader, "a", seen).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::task::block_in_place(|| server.kill());
        assert_eq!(waits.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(append(&writer, "a", number + 1).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(read(&reader, "a", seen).await.unwrap_err().kind(), ErrorKind::Unavailable);
        let renewed = writer.renew(&run("a"), super::scene::EPOCH).await;
        assert_eq!(renewed.unwrap_err().kind(), ErrorKind::Unavailable);

        tokio::task::block_in_place(|| server.begin());
        // What was emitted meanwhile came to nobody: the writer had no room for it.
        number += 3;
    }
    append_until_taken(&writer, number).await;
    let page = read_until_answered(&reader, seen).await;
    assert_eq!(numbers(&page.items), [None, Some(number)]);
    assert_eq!(page.items[0], RunItem::Gap { after: seen, until: id(number - 1) });
}

/// A follower gets every event that Redis took and had not lost, in order, over restarts, and learns where some are missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_goes_on_over_restarts_and_counts_what_is_missing() {
    let Some(server) = tokio::task::block_in_place(OwnRedis::start) else { return };
    let (url, namespace) = (server.url(), namespace());
    let (writer, reader) = (process(&url, &namespace), process(&url, &namespace));
    open(&writer, "a").await;
    const LAST: u64 = 300;
    let write = tokio::spawn(async move {
        for number in 1..=LAST {
            append_until_taken(&writer, number).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let follow = tokio::spawn(async move {
        let mut follower = RunFollower::new(Arc::new(reader), run("a"), None);
        let mut position = 0;
        while position < LAST {
            match follower.next().await {
                Ok(item) => {
                    let item = item.expect("nobody ends it");
                    let next = item.position().number;
                    match item {
                        RunItem::Event(_) => assert_eq!(next, position + 1),
                        RunItem::Gap { .. } => assert!(next > position),
                    }
                    position = next;
                }
                // The stream of a Redis that is empty comes back with its next event.
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::NotFound), "{error}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        tokio::task::block_in_place(|| server.kill());
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::task::block_in_place(|| server.begin());
    }
    write.await.unwrap();
    follow.await.unwrap();
}
