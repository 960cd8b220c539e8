//! What processes share, and what each of them costs Redis.

use std::collections::HashSet;
use std::time::Duration;

use agentscale_core::runs::{Epoch, EventId, OpenRun, RunStreamLimits};
use agentscale_core::testkit::TestServer;
use agentscale_core::{ErrorKind, RunStreams};
use agentscale_store::{RedisRunStreams, RedisRunStreamsConfig};
use futures::future::join_all;

use super::scene::{append, id, keys, namespace, numbers, open, process, process_within, read, redis, run};

#[tokio::test]
async fn a_run_of_one_process_is_followed_by_another() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let (here, there) = (process(&url, &namespace), process(&url, &namespace));
    open(&here, "a").await;
    for number in 1..=20 {
        let after = (number > 1).then(|| id(number - 1));
        let (page, appended) = futures::join!(read(&there, "a", after), append(&here, "a", number));
        appended.unwrap();
        assert_eq!(numbers(&page.unwrap().items), [Some(number)]);
    }
}

/// Some hundred readers of as many streams wait on the connections that were asked for, and each gets its own events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_share_few_connections() {
    const RUNS: usize = 300;
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let (writer, reader) = (process(&url, &namespace), process(&url, &namespace));
    let turns: Vec<_> = (0..RUNS).map(|number| number.to_string()).collect();
    join_all(turns.iter().map(|turn| open(&writer, turn))).await;
    let mut connection = redis(&url).await;
    for number in 1..=3 {
        let after = (number > 1).then(|| id(number - 1));
        // A third of them is written while nobody waits yet.
        let readers = turns.iter().map(|turn| {
            let (reader, turn) = (reader.clone(), turn.clone());
            tokio::spawn(async move { read(&reader, &turn, after).await })
        });
        let readers: Vec<_> = readers.collect();
        if number == 2 {
            blocked(&mut connection).await;
        }
        for appended in join_all(turns.iter().map(|turn| append(&writer, turn, number))).await {
            appended.unwrap();
        }
        for page in join_all(readers).await {
            assert_eq!(numbers(&page.unwrap().unwrap().items), [Some(number)]);
        }
    }
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut connection).await.unwrap();
    let tails = clients.lines().filter(|client| client.contains("cmd=xread")).count();
    assert!(tails <= 64, "{tails}");
}

/// Waits until a connection is blocked.
async fn blocked(connection: &mut redis::aio::MultiplexedConnection) {
    for _ in 0..6_000 {
        let info: String =
            redis::cmd("INFO").arg("clients").query_async(connection).await.expect("redis answers");
        if info.lines().any(|line| line.starts_with("blocked_clients:") && line != "blocked_clients:0") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nobody waits");
}

#[tokio::test]
async fn every_key_has_an_end_and_no_name_is_readable() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let streams = process(&url, &namespace);
    open(&streams, "secret").await;
    append(&streams, "secret", 1).await.unwrap();
    let (page, appended) = futures::join!(read(&streams, "secret", Some(id(1))), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        append(&streams, "secret", 2).await
    });
    appended.unwrap();
    assert_eq!(numbers(&page.unwrap().items), [Some(2)]);
    let mut connection = redis(&url).await;
    let keys = keys(&mut connection, &format!("{namespace}*")).await;
    assert!(keys.len() >= 2, "{keys:?}");
    for key in keys {
        assert!(!key.contains("secret") && !key.contains("acme"), "{key}");
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        assert!((1..=600_000).contains(&left), "{key}: {left}");
    }
}

/// A Redis that is full may forget either key of a stream.
#[tokio::test]
async fn a_stream_of_which_redis_evicted_a_part_goes_on_behind_a_gap() {
    let Some(url) = TestServer::Redis.url() else { return };
    for evicted in ["head", "events"] {
        let namespace = namespace();
        let streams = process(&url, &namespace);
        open(&streams, "a").await;
        for number in 1..=3 {
            append(&streams, "a", number).await.unwrap();
        }
        let mut connection = redis(&url).await;
        let keys: Vec<_> = keys(&mut connection, &format!("{namespace}:run:*")).await;
        let key = keys.iter().find(|key| key.ends_with(":head") == (evicted == "head")).unwrap();
        let _: () = redis::cmd("DEL").arg(key).query_async(&mut connection).await.unwrap();
        if evicted == "events" {
            assert_eq!(numbers(&read(&streams, "a", Some(id(1))).await.unwrap().items), [None]);
        }
        append(&streams, "a", 4).await.unwrap();
        for after in [None, Some(id(1))] {
            let page = read(&streams, "a", after).await.unwrap();
            assert_eq!(numbers(&page.items), [None, Some(4)], "{evicted}");
            assert_eq!(page.items[0].position(), id(3));
        }
        assert_eq!(numbers(&read(&streams, "a", Some(id(3))).await.unwrap().items), [Some(4)]);
    }
}

/// However much is written, Redis holds what the limits say.
#[tokio::test]
async fn what_a_stream_costs_redis_is_bounded() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let mut limits = RunStreamLimits::default();
    (limits.events, limits.bytes, limits.event_bytes) = (200, 10_000, 1_000);
    let streams = process_within(&url, &namespace, limits);
    open(&streams, "a").await;
    let mut connection = redis(&url).await;
    let mut seen = HashSet::new();
    for round in 0..20_u64 {
        let event = |_| {
            let name = "text".try_into().unwrap();
            agentscale_core::runs::NewEvent::new(name, vec![b'x'; 20 + usize::try_from(round).unwrap() * 40])
        };
        let events = (0..100).map(event).collect();
        let epoch = super::scene::EPOCH;
        let append = agentscale_core::runs::AppendEvents::new(run("a"), epoch, round * 100 + 1, events);
        streams.append(append).await.unwrap();
        for key in keys(&mut connection, &format!("{namespace}:run:*")).await {
            let bytes: usize =
                redis::cmd("MEMORY").arg("USAGE").arg(&key).query_async(&mut connection).await.unwrap();
            assert!(bytes < 60_000, "{key}: {bytes}");
            seen.insert(key);
        }
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn what_cannot_work_is_refused() {
    let refused = |url: &str, namespace: &str, change: fn(&mut RedisRunStreamsConfig)| {
        let mut config = RedisRunStreamsConfig::default();
        change(&mut config);
        let error = RedisRunStreams::new(url, namespace, &config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.context("field").unwrap().to_owned()
    };
    assert_eq!(refused("http://secret@localhost", "test", |_| {}), "url");
    assert_eq!(refused("redis://localhost", "", |_| {}), "namespace");
    assert_eq!(refused("redis://localhost", "test", |config| config.tails = 0), "tails");
    assert_eq!(refused("redis://localhost", "test", |config| config.limits.bytes = 0), "bytes");
    let streams =
        RedisRunStreams::new("redis://localhost", "test", &RedisRunStreamsConfig::default()).unwrap();
    let epoch = Epoch { incarnation: 5_000, counter: 1 };
    let error = streams.open(OpenRun::new(run("a"), epoch)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// An id that no server could have given is one of the future.
#[tokio::test]
async fn no_id_of_a_client_is_too_large() {
    let Some(url) = TestServer::Redis.url() else { return };
    let streams = process(&url, &namespace());
    open(&streams, "a").await;
    for counter in [1, u64::MAX] {
        let epoch = Epoch { incarnation: u32::MAX, counter };
        let error = read(&streams, "a", Some(EventId::new(epoch, u64::MAX))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let error = read(&streams, "a", Some(id(u64::MAX))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
