//! Names, values and messages that mean no good.

use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::testkit::TestServer;
use agentscale_store::cache::{
    CacheConfig, CacheKey, CachePolicy, Invalidation, InvalidationBus, NodeCache, Reach, RedisCache,
    RedisCacheConfig, Tag, TagKind,
};
use bytes::Bytes;

use super::scene::{acme, by_message, file, follows, key, namespace, node, redis, until};

#[tokio::test]
async fn names_of_any_bytes_and_length_are_told_apart() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let (here, there) = (
        node(redis(&url, &namespace), by_message(), None),
        node(redis(&url, &namespace), by_message(), None),
    );
    let long = vec![b'x'; 10 << 20];
    let mut longer = long.clone();
    longer.push(b'x');
    let names: [&[u8]; 8] =
        [b"", b"\0", b"\0\0", b"a:b", b"a::b", b"test:cache:changes\r\n", b"\xff\xfe*", &long];
    for (at, name) in names.iter().chain([&longer.as_slice()]).enumerate() {
        let (key, tag) = (CacheKey::new(&acme(), name), Tag::new(&acme(), TagKind::Other, name));
        here.answers.put(&key, at.to_string(), &[tag]).await.unwrap();
    }
    for (at, name) in names.iter().enumerate() {
        let key = CacheKey::new(&acme(), name);
        assert_eq!(*there.answers.get(&key).await.unwrap(), at.to_string());
        let tag = Tag::new(&acme(), TagKind::Other, name);
        assert_eq!(there.node.changed(&[tag]).await, Reach::Everywhere);
        assert_eq!(there.answers.get(&key).await, None);
    }
    assert_eq!(*there.answers.get(&CacheKey::new(&acme(), &longer)).await.unwrap(), "8");
}

#[tokio::test]
async fn a_value_beyond_its_bounds_is_given_and_not_held() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let mut config = by_message();
    config.bytes = 64 << 10;
    let (here, there) =
        (node(redis(&url, &namespace), config.clone(), None), node(redis(&url, &namespace), config, None));
    let large = "x".repeat(10 << 20);
    assert_eq!(here.ask("large", &large).await.len(), large.len());
    assert_eq!(here.ask("large", "small").await, "small");
    assert_eq!((here.answers.stats().left_out, here.answers.stats().misses), (1, 2));
    assert_eq!(there.get("large").await.as_deref(), Some("small"));
    for at in 0..100 {
        here.ask(&format!("{at}"), &"x".repeat(2 << 10)).await;
        assert!(here.node.stats().bytes <= 64 << 10);
    }
    assert!(here.node.stats().entries > 8);
    // More tags than an entry may have.
    let many: Vec<_> = (0..1_100).map(|at| file(&at.to_string())).collect();
    let all = here.answers.get_or_compute(&key("all"), &many, |_| async { Ok("all".to_owned()) }).await;
    assert_eq!(*all.unwrap(), "all");
    assert_eq!(here.get("all").await, None);
}

/// Whatever stands in Redis under an entry's name, the answer is right.
#[tokio::test]
async fn what_was_not_written_here_is_computed_anew() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let writer = node(redis(&url, &namespace), by_message(), None);
    assert_eq!(writer.ask("used", "right").await, "right");
    let client = redis::Client::open(url.clone()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let pattern = format!("{namespace}:cache:entry:*");
    let names: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.unwrap();
    let [name] = names.as_slice() else { panic!("one entry: {names:?}") };
    let entry: Vec<u8> = redis::cmd("GET").arg(name).query_async(&mut connection).await.unwrap();
    let mut flipped = entry.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let lies: [&[u8]; 7] = [b"", b"1", b"10000", b"19999", b"1-001", &flipped, &entry[..entry.len() - 1]];
    for lie in lies {
        let _: () = redis::cmd("SET").arg(name).arg(lie).query_async(&mut connection).await.unwrap();
        let reader = node(redis(&url, &namespace), by_message(), None);
        assert_eq!(reader.get("used").await, None, "{lie:?}");
        assert_eq!(reader.ask("used", "right").await, "right");
        let again = node(redis(&url, &namespace), by_message(), None);
        assert_eq!(again.get("used").await.as_deref(), Some("right"), "{lie:?}");
    }
    let _: () = redis::cmd("DEL").arg(name).query_async(&mut connection).await.unwrap();
    let _: () = redis::cmd("LPUSH").arg(name).arg("a list").query_async(&mut connection).await.unwrap();
    let reader = node(redis(&url, &namespace), by_message(), None);
    assert_eq!(reader.ask("used", "right").await, "right");
    assert!(reader.node.stats().failures > 0);

    // Another type under the same name, by another version of the host.
    let policy = CachePolicy::new().with_shared(Duration::from_secs(60));
    let other = NodeCache::builder(by_message()).with_redis(redis(&url, &namespace)).build().unwrap();
    let numbers = other.named::<u64>("words", policy, Invalidation::ByKey).unwrap();
    let words = writer.node.named::<String>("words", policy, Invalidation::ByKey).unwrap();
    words.put(&key("one"), "one".to_owned(), &[]).await.unwrap();
    assert_eq!(numbers.get(&key("one")).await, None);
    assert_eq!(*numbers.get_or_compute(&key("one"), &[], |_| async { Ok(1) }).await.unwrap(), 1);
    let taken = writer.node.named::<u64>("words", policy, Invalidation::ByKey);
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_counted_and_harms_nothing() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let redis = redis(&url, &namespace);
    let (here, there) = (node(redis.clone(), by_message(), None), node(redis.clone(), by_message(), None));
    follows(&here, &there).await;
    assert_eq!(there.ask("used", "old").await, "old");
    for lie in [&b""[..], b"\x01", &[0; 49], &[1; 50], &[9; 49]] {
        redis.bus().publish(Bytes::copy_from_slice(lie)).await.unwrap();
    }
    until("they are counted", async || there.node.stats().malformed >= 5).await;
    assert_eq!(there.get("used").await.as_deref(), Some("old"));
    // A number beyond all others, of a tag that nobody uses.
    redis.bus().publish(Bytes::from_static(&[1; 49])).await.unwrap();
    assert_eq!(here.node.changed(&[file("used")]).await, Reach::Everywhere);
    until("the change is seen", async || there.get("used").await.is_none()).await;
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_by_field() {
    let refused = |url: &str, namespace: &str, config: &RedisCacheConfig| {
        let error = RedisCache::new(url, namespace, config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.context("field").unwrap().to_owned()
    };
    let config = RedisCacheConfig::default();
    assert_eq!(refused("http://secret@localhost", "test", &config), "url");
    assert_eq!(refused("redis://localhost", "", &config), "namespace");
    let mut short = config.clone();
    short.tag_ttl = Duration::from_secs(1);
    assert_eq!(refused("redis://localhost", "test", &short), "tag_ttl");
    let mut hasty = config;
    hasty.wait = Duration::ZERO;
    assert_eq!(refused("redis://localhost", "test", &hasty), "wait");
    let mut never = CacheConfig::default();
    never.stale_at_most = never.check_every;
    let error = NodeCache::new(never).unwrap_err();
    assert_eq!((error.kind(), error.context("field")), (ErrorKind::InvalidInput, Some("stale_at_most")));
}
