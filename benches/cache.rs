//! What the caches cost, and how soon a change is seen.
//!
//! `cargo bench --bench cache --features store-cache`; with `--features store-redis`, and a Redis that
//! `AGENTSCALE_TEST_REDIS_URL` names, what nodes share too: `cargo xtask servers -- cargo bench --bench cache
//! --features store-redis`.
//!
//! *A cached latest checkpoint*: `load` of the tip of a thread that was claimed and committed here, under a lease. *An entry*:
//! `get` by a key that is kept. Both are awaited in a loop of one task; medians over rounds.

#[allow(dead_code, reason = "shared with benchmarks that compare")]
#[path = "support/rounds.rs"]
mod rounds;
#[cfg(feature = "store-redis")]
#[path = "support/cache_redis.rs"]
mod shared;
#[allow(dead_code, reason = "shared with benchmarks that compare")]
#[path = "support/table.rs"]
mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentscale_core::checkpoint::{ClaimRequest, Commit, CommitId, FieldWrite, LoadRequest, StateHeader};
use agentscale_core::lease::{AcquireRequest, Lease, LeaseKey};
use agentscale_core::{AgentId, CheckpointStore, MessageId, Tenant};
use agentscale_store::cache::{CacheConfig, CacheKey, CachedType, NodeCache, Tag, TagKind};
use agentscale_store::{
    CachedCheckpointStore, CheckpointCacheConfig, InMemoryCheckpointStore, InMemoryLeaseStore,
};
use rounds::{Measure, Rounds};
use table::{Required, head, line, nanos};
use tokio::runtime::Runtime;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Store = CachedCheckpointStore<InMemoryCheckpointStore>;

const ROUNDS: usize = 101;
const CALLS: u32 = 2_000;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    head();
    in_process(&runtime)?;
    #[cfg(feature = "store-redis")]
    runtime.block_on(shared::run())?;
    #[cfg(not(feature = "store-redis"))]
    println!("left out: Redis, as the feature store-redis is off");
    Ok(())
}

fn in_process(runtime: &Runtime) -> Result<(), Failure> {
    let (store, lease) = runtime.block_on(leased())?;
    let threads = [1, 4].map(|fields| runtime.block_on(committed(&store, fields)));
    let [one, four] = threads;
    let (one, four) = (one?, four?);
    let node = NodeCache::new(CacheConfig::default())?;
    let cache = node.of::<String>(CachedType::AgentDefinitions)?;
    let acme = Tenant::new("acme")?;
    let key = CacheKey::new(&acme, "researcher");
    let tags: Vec<_> = (0_u8..4).map(|name| Tag::new(&acme, TagKind::File, [name])).collect();
    runtime.block_on(cache.put(&key, "x".repeat(1_024), &tags))?;

    let load = |thread: &AgentId| {
        let (store, request) = (store.clone(), LoadRequest::tip(thread.clone()));
        move || {
            per_call(runtime, async || {
                let loaded = store.load(request.clone()).await;
                assert!(loaded.is_ok_and(|tip| tip.is_some()));
            })
        }
    };
    let mut measures: [Measure<'_>; 4] = [
        Box::new(load(&one)),
        Box::new(load(&four)),
        Box::new(|| per_call(runtime, async || assert!(cache.get(&key).await.is_some()))),
        Box::new(|| {
            per_call(runtime, async || {
                let key = CacheKey::new(&acme, "researcher");
                assert!(cache.get(&key).await.is_some());
            })
        }),
    ];
    let measured = Rounds::run(ROUNDS, &mut measures);
    let micros = |at| measured.median(at) * 1e6;
    let row = |what, at, required| line(what, &nanos(measured.median(at)), "", micros(at), required);
    row("cached latest checkpoint, 1 field; us", 0, Required::AtMost(1.0));
    row("cached latest checkpoint, 4 fields; us", 1, Required::AtMost(1.0));
    row("an entry with 5 tags, its key kept; us", 2, Required::AtMost(1.0));
    row("an entry with 5 tags, its key made; us", 3, Required::AtMost(1.0));
    drop(measures);
    runtime.block_on(lease.close())?;
    Ok(())
}

/// Seconds a call.
fn per_call(runtime: &Runtime, mut call: impl AsyncFnMut()) -> f64 {
    runtime.block_on(async {
        let start = Instant::now();
        for _ in 0..CALLS {
            call().await;
        }
        start.elapsed().as_secs_f64() / f64::from(CALLS)
    })
}

async fn leased() -> Result<(Store, Lease), Failure> {
    let key = LeaseKey::new(&Tenant::new("acme")?, "node", "1")?;
    let request = AcquireRequest::new(key, "here".try_into()?, Duration::from_secs(3_600));
    let lease = Lease::acquire(Arc::new(InMemoryLeaseStore::new()), request).await?;
    let store = CachedCheckpointStore::new(InMemoryCheckpointStore::new(), &CheckpointCacheConfig::default());
    Ok((store.with_lease(lease.watch()), lease))
}

/// A thread with one checkpoint of so many fields of 256 bytes.
async fn committed(store: &impl CheckpointStore, fields: usize) -> Result<AgentId, Failure> {
    let thread = AgentId::new(&Tenant::new("acme")?, "note", &format!("agent-{fields}"))?;
    let claim = store.claim(ClaimRequest::new(thread.clone())).await?;
    let id = CommitId(*MessageId::new(1).as_uuid());
    let mut commit = Commit::new(id, thread.clone(), claim.epoch, claim.version(), StateHeader::json(1));
    let write = |field| FieldWrite::Replace { name: format!("field-{field}"), value: vec![b' '; 256].into() };
    commit.fields = (0..fields).map(write).collect();
    store.commit(commit).await?;
    Ok(thread)
}
