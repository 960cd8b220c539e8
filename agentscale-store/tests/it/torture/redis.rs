//! The Redis that holds states for several processes ends and begins anew.

use std::time::Duration;

use agentscale_store::{
    CachedCheckpointStore, CheckpointCacheConfig, RedisStates, RedisStatesConfig, SqliteCheckpointConfig,
};

use super::fleet::Fleet;
use super::{items, rounds};
use crate::own_redis::OwnRedis;
use crate::scene::open_with;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_redis_a_cache_answers_from_the_store_and_uses_it_again_once_it_is_back() {
    let Some(server) = tokio::task::block_in_place(OwnRedis::start) else { return };
    let folder = tempfile::tempdir().unwrap();
    let inner = open_with(&folder.path().join("checkpoints.db"), SqliteCheckpointConfig::default()).await;
    let mut config = RedisStatesConfig::default();
    config.breaker.open_for = Duration::from_millis(50);
    let redis = RedisStates::new(&server.url(), "test", &config).unwrap();
    // Two processes, of which the second has nothing in its memory.
    let process = || {
        let store = CachedCheckpointStore::new(inner.clone(), &CheckpointCacheConfig::default());
        store.with_redis(redis.clone())
    };
    let store = process();
    let fleet = Fleet::start(&store).await;
    for _ in 0..rounds(2, 20) {
        fleet.goes_on(50).await;
        tokio::task::block_in_place(|| server.kill());
        fleet.goes_on(50).await;
        assert!(items(&process(), "agent-0").await > 0);
        tokio::task::block_in_place(|| server.begin());
        fleet.goes_on(50).await;
    }
    fleet.stop(&store).await;
    let back = async {
        while process_hits(&process()).await == 0 {
            redis.flush().await;
            // Those who load send what they found.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), back).await.expect("Redis is used again");
}

async fn process_hits<S: agentscale_core::CheckpointStore>(store: &CachedCheckpointStore<S>) -> u64 {
    items(store, "agent-0").await;
    store.stats().shared_hits
}
