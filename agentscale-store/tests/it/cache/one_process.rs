//! One process without Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::time::ManualClock;
use agentscale_core::{Error, ErrorKind, Tenant};
use agentscale_store::CheckpointCacheConfig;
use agentscale_store::cache::{
    CacheConfig, CacheKey, CachePolicies, CachedType, NodeCache, Reach, Tag, TagKind,
};
use futures::future::join_all;

fn acme() -> Tenant {
    Tenant::new("acme").expect("a name")
}

fn node(clock: &ManualClock) -> NodeCache {
    let builder = NodeCache::builder(CacheConfig::default()).with_clock(Arc::new(clock.clone()));
    builder.build().expect("it is set up")
}

/// The document's table, with memory in the place of Redis.
#[tokio::test]
async fn each_type_of_data_is_held_for_its_time() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (cached, ttl) in [
        (CachedType::AgentDefinitions, minutes(5)),
        (CachedType::ToolSchemas, minutes(5)),
        (CachedType::LlmResponses, minutes(10)),
        (CachedType::MemoryEmbeddings, minutes(60)),
        (CachedType::Sessions, minutes(30)),
    ] {
        let clock = ManualClock::new();
        let cache = node(&clock).of::<u64>(cached).unwrap();
        let key = CacheKey::new(&acme(), "key");
        cache.put(&key, 1, &[]).await.unwrap();
        clock.advance(ttl - Duration::from_nanos(1));
        assert_eq!(cache.get(&key).await.as_deref(), Some(&1), "{cached:?}");
        clock.advance(Duration::from_nanos(1));
        assert_eq!(cache.get(&key).await, None, "{cached:?}");
    }
    let policies = CachePolicies::default();
    assert_eq!(policies.tool_schemas.edge, Some(minutes(60)));
    assert_eq!(policies.checkpoints.shared, Some(minutes(30)));
    assert_eq!(policies.rate_counters.shared, Some(minutes(1)));
    assert_eq!(CacheConfig::default().bytes, CheckpointCacheConfig::default().bytes);
}

#[tokio::test]
async fn the_thing_itself_and_what_was_used_make_an_entry_void() {
    let node = node(&ManualClock::new());
    let definitions = node.of::<String>(CachedType::AgentDefinitions).unwrap();
    let embeddings = node.of::<Vec<f32>>(CachedType::MemoryEmbeddings).unwrap();
    let key = CacheKey::new(&acme(), "researcher");
    let tool = Tag::new(&acme(), TagKind::Tool, "search");
    let tags = [definitions.tag(&key).unwrap(), tool.clone()];
    definitions.put(&key, "defined".to_owned(), std::slice::from_ref(&tool)).await.unwrap();
    embeddings.put(&key, vec![1.0], &tags[..1]).await.unwrap();

    assert_eq!(node.changed(&[Tag::new(&acme(), TagKind::Tool, "another")]).await, Reach::Everywhere);
    assert!(definitions.get(&key).await.is_some() && embeddings.get(&key).await.is_some());
    assert_eq!(node.changed(&[tool]).await, Reach::Everywhere);
    assert!(definitions.get(&key).await.is_none() && embeddings.get(&key).await.is_some());
    definitions.put(&key, "anew".to_owned(), &[]).await.unwrap();
    assert_eq!(definitions.changed(&key).await.unwrap(), Reach::Everywhere);
    assert!(definitions.get(&key).await.is_none() && embeddings.get(&key).await.is_none());
    let answers = node.of::<String>(CachedType::LlmResponses).unwrap();
    assert_eq!(answers.changed(&key).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_change_while_a_value_is_computed_makes_it_void() {
    let node = node(&ManualClock::new());
    let cache = node.of::<u64>(CachedType::LlmResponses).unwrap();
    let (key, file) = (CacheKey::new(&acme(), "key"), Tag::new(&acme(), TagKind::File, "file"));
    let compute = |uses: agentscale_store::cache::Uses| {
        let (node, file) = (node.clone(), file.clone());
        async move {
            uses.add(std::slice::from_ref(&file)).await?;
            let _ = node.changed(&[file]).await;
            Ok(1)
        }
    };
    assert_eq!(*cache.get_or_compute(&key, &[], compute).await.unwrap(), 1);
    assert_eq!(cache.get(&key).await, None);
}

#[tokio::test]
async fn requests_at_the_same_time_compute_once_and_share_an_error_once() {
    let node = node(&ManualClock::new());
    let cache = node.of::<u64>(CachedType::LlmResponses).unwrap();
    let key = CacheKey::new(&acme(), "key");
    let computed = AtomicU64::new(0);
    let fails = |_| async {
        computed.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Err(Error::new(ErrorKind::Unavailable, "compute"))
    };
    let all = join_all((0..100).map(|_| cache.get_or_compute(&key, &[], fails))).await;
    assert!(
        all.iter().all(|failed| failed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable))
    );
    assert_eq!(computed.swap(0, Ordering::SeqCst), 1);
    let works = |_| async {
        computed.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(7)
    };
    let all = join_all((0..100).map(|_| cache.get_or_compute(&key, &[], works))).await;
    assert!(all.iter().all(|value| **value.as_ref().unwrap() == 7));
    assert_eq!(computed.load(Ordering::SeqCst), 1);
    assert_eq!((cache.stats().joined, cache.stats().misses), (99, 2));
    assert!(cache.stats().hit_rate() > 0.9);
}

/// Each await of it, with others waiting behind.
#[tokio::test]
async fn a_request_that_goes_away_at_any_await_lets_the_next_compute() {
    for awaits in 1..4 {
        let node = node(&ManualClock::new());
        let cache = node.of::<u64>(CachedType::LlmResponses).unwrap();
        let (key, file) = (CacheKey::new(&acme(), "key"), Tag::new(&acme(), TagKind::File, "file"));
        let tags = [file];
        let compute = |_| async {
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            Ok(1)
        };
        let mut first = Box::pin(cache.get_or_compute(&key, &tags, compute));
        for _ in 0..awaits {
            assert!(futures::poll!(&mut first).is_pending());
        }
        let mut second = Box::pin(cache.get_or_compute(&key, &tags, |_| async { Ok(2) }));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(*second.await.unwrap(), 2);
        assert_eq!(cache.get(&key).await.as_deref(), Some(&2));
    }
}

/// What a computation panics out of is not left waiting.
#[tokio::test]
async fn a_computation_that_panics_lets_the_next_compute() {
    let node = node(&ManualClock::new());
    let cache = node.of::<u64>(CachedType::LlmResponses).unwrap();
    let key = CacheKey::new(&acme(), "key");
    let (panicking, of) = (cache.clone(), key.clone());
    let task = tokio::spawn(async move {
        let compute = |_| async { panic!("it goes wrong") };
        panicking.get_or_compute(&of, &[], compute).await
    });
    assert!(task.await.is_err());
    assert_eq!(*cache.get_or_compute(&key, &[], |_| async { Ok(1) }).await.unwrap(), 1);
}

#[tokio::test]
async fn the_age_of_a_value_counts_from_before_it_was_computed() {
    let clock = ManualClock::new();
    let cache = node(&clock).of::<u64>(CachedType::AgentDefinitions).unwrap();
    let key = CacheKey::new(&acme(), "key");
    let compute = |_| async {
        clock.advance(Duration::from_secs(299));
        Ok(1)
    };
    cache.get_or_compute(&key, &[], compute).await.unwrap();
    assert!(cache.get(&key).await.is_some());
    clock.advance(Duration::from_secs(1));
    assert!(cache.get(&key).await.is_none());
}

/// As many as within the last minute, where they come evenly.
#[tokio::test]
async fn a_counter_slides_over_its_window() {
    let clock = ManualClock::new();
    let counters = node(&clock).counters();
    let key = CacheKey::new(&acme(), "key");
    for _ in 0..60 {
        counters.add(&key, 10).await;
        clock.advance(Duration::from_secs(1));
    }
    let count = async || counters.add(&key, 0).await.count;
    assert_eq!(count().await, 600);
    clock.advance(Duration::from_secs(15));
    assert_eq!(count().await, 450);
    assert_eq!(counters.add(&CacheKey::new(&Tenant::new("globex").unwrap(), "key"), 1).await.count, 1);
    clock.advance(Duration::from_secs(45));
    assert_eq!(count().await, 0);
    counters.add(&key, u64::MAX).await;
    assert_eq!(counters.add(&key, u64::MAX).await.count, u64::MAX);
    clock.advance(Duration::from_secs(180));
    assert_eq!(count().await, 0);
}
