//! States that one process holds in Redis and another one finds there.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::{LoadRequest, Version};
use agentscale_core::testkit::{FaultyStore, StoreFault, StoreOperation, TestServer};
use agentscale_core::{CheckpointStore, ErrorKind, MessageId};
use agentscale_store::{
    CachedCheckpointStore, CheckpointCacheConfig, InMemoryCheckpointStore, RedisStates, RedisStatesConfig,
};

use crate::scene::{Owner, thread};

type Inner = Arc<FaultyStore<InMemoryCheckpointStore>>;
type Cached = CachedCheckpointStore<Inner>;

fn inner() -> Inner {
    Arc::new(FaultyStore::new(InMemoryCheckpointStore::new()))
}

fn config() -> RedisStatesConfig {
    let mut config = RedisStatesConfig::default();
    config.wait = Duration::from_secs(5);
    config.ttl = Duration::from_secs(60);
    config
}

/// One process: its own memory, the Redis of all.
fn process(inner: &Inner, url: &str, namespace: &str) -> (Cached, RedisStates) {
    let redis = RedisStates::new(url, namespace, &config()).expect("the configuration works");
    let store = CachedCheckpointStore::new(inner.clone(), &CheckpointCacheConfig::default());
    (store.with_redis(redis.clone()), redis)
}

fn namespace() -> String {
    format!("test-{}", MessageId::new(1))
}

async fn notes(store: &Cached) -> Option<(Version, usize)> {
    let tip = store.load(LoadRequest::tip(thread("alice"))).await.expect("it is read")?;
    Some((tip.info.version, tip.fields[0].appended.len()))
}

/// All that Redis holds of a namespace.
async fn names(url: &str, namespace: &str) -> (redis::aio::MultiplexedConnection, Vec<String>) {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("redis answers");
    let pattern = format!("{namespace}:*");
    let names = redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.expect("redis answers");
    (connection, names)
}

#[tokio::test]
async fn another_process_finds_what_a_commit_left() {
    let Some(url) = TestServer::Redis.url() else { return };
    let (inner, namespace) = (inner(), namespace());
    let (here, sent) = process(&inner, &url, &namespace);
    let mut owner = Owner::claim(&here, "alice").await;
    owner.write("[1]").await.unwrap();
    owner.write("[2]").await.unwrap();
    sent.flush().await;
    let (there, _) = process(&inner, &url, &namespace);
    inner.inject(StoreOperation::Load, StoreFault::Fail(ErrorKind::Internal));
    assert_eq!(notes(&there).await, Some((Version(2), 2)));
    assert_eq!(notes(&there).await, Some((Version(2), 2)));
    let stats = there.stats();
    assert_eq!((stats.hits, stats.shared_hits, stats.misses), (1, 1, 0));
    let (mut connection, names) = names(&url, &namespace).await;
    assert_eq!(names.len(), 2);
    let left: i64 = redis::cmd("TTL").arg(&names[0]).query_async(&mut connection).await.unwrap();
    assert!((1..=60).contains(&left));
}

#[tokio::test]
async fn another_process_finds_what_came_from_the_store() {
    let Some(url) = TestServer::Redis.url() else { return };
    let (inner, namespace) = (inner(), namespace());
    Owner::claim(&inner, "alice").await.write("[1]").await.unwrap();
    let (here, sent) = process(&inner, &url, &namespace);
    assert_eq!(notes(&here).await, Some((Version(1), 1)));
    sent.flush().await;
    let (there, _) = process(&inner, &url, &namespace);
    assert_eq!(notes(&there).await, Some((Version(1), 1)));
    assert_eq!((here.stats().misses, there.stats().shared_hits), (1, 1));
}

/// Another namespace is another database, in which the same names mean other states.
#[tokio::test]
async fn a_state_of_another_namespace_is_not_found() {
    let Some(url) = TestServer::Redis.url() else { return };
    let inner = inner();
    let (here, sent) = process(&inner, &url, &namespace());
    Owner::claim(&here, "alice").await.write("[1]").await.unwrap();
    sent.flush().await;
    let (there, _) = process(&inner, &url, &namespace());
    assert_eq!(notes(&there).await, Some((Version(1), 1)));
    assert_eq!((there.stats().shared_hits, there.stats().misses), (0, 1));
}

#[tokio::test]
async fn a_damaged_state_comes_from_the_store() {
    let Some(url) = TestServer::Redis.url() else { return };
    let (inner, namespace) = (inner(), namespace());
    let (here, sent) = process(&inner, &url, &namespace);
    Owner::claim(&here, "alice").await.write("[1]").await.unwrap();
    sent.flush().await;
    let (mut connection, names) = names(&url, &namespace).await;
    let _: () =
        redis::cmd("SETRANGE").arg(&names[0]).arg(20).arg("x").query_async(&mut connection).await.unwrap();
    let (there, redis) = process(&inner, &url, &namespace);
    assert_eq!(notes(&there).await, Some((Version(1), 1)));
    assert_eq!((redis.stats().damaged, there.stats().misses), (1, 1));
}

#[tokio::test]
async fn without_redis_the_store_answers_and_redis_is_left_alone() {
    let inner = inner();
    Owner::claim(&inner, "alice").await.write("[1]").await.unwrap();
    // Taken and given back: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut memory = CheckpointCacheConfig::default();
    memory.bytes = 0;
    let mut config = config();
    config.breaker.open_for = Duration::from_secs(3_600);
    let redis = RedisStates::new(&format!("redis://127.0.0.1:{port}"), "test", &config).unwrap();
    let store = CachedCheckpointStore::new(inner.clone(), &memory).with_redis(redis.clone());
    for _ in 0..20 {
        assert_eq!(notes(&store).await, Some((Version(1), 1)));
    }
    redis.flush().await;
    assert_eq!(store.stats().misses, 20);
    // Five open the breaker; one more may be on its way then.
    assert!(redis.stats().failures <= 6);
}

/// Redis takes the connection and says nothing. Time is simulated: it stands still while anything can run.
#[tokio::test(start_paused = true)]
async fn a_load_waits_for_redis_no_longer_than_its_wait() {
    let inner = inner();
    Owner::claim(&inner, "alice").await.write("[1]").await.unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = RedisStatesConfig::default();
    let redis = RedisStates::new(&format!("redis://127.0.0.1:{port}"), "test", &config).unwrap();
    let store = CachedCheckpointStore::new(inner, &CheckpointCacheConfig::default()).with_redis(redis);
    let asked = tokio::time::Instant::now();
    assert_eq!(notes(&store).await, Some((Version(1), 1)));
    assert!(asked.elapsed() <= config.wait + Duration::from_millis(2));
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_by_field() {
    let refused = |url: &str, namespace: &str, config: &RedisStatesConfig| {
        let error = RedisStates::new(url, namespace, config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.context("field").unwrap().to_owned()
    };
    let mut forever = config();
    forever.ttl = Duration::from_secs(86_401);
    assert_eq!(refused("http://secret@localhost", "test", &config()), "url");
    assert_eq!(refused("redis://localhost", "", &config()), "namespace");
    assert_eq!(refused("redis://localhost", "test", &forever), "ttl");
    assert!(RedisStates::new("rediss://localhost", "test", &config()).is_ok());
}
