//! The load of the section *Throughput optimization*: 1,000 agents with 0.3 turns a second each, of which each loads the
//! latest checkpoint and writes one. Section *Key optimizations* asks for a hit rate of 85 %.

use agentscale_core::checkpoint::{CheckpointStore, FieldWrite, LoadRequest};
use agentscale_store::{CachedCheckpointStore, CheckpointCacheConfig, InMemoryCheckpointStore};

use crate::scene::{Owner, thread};

const AGENTS: usize = 1_000;
/// 100 seconds of that load.
const TURNS: usize = AGENTS * 30;

/// Turns come in no order. States of 64 KiB, which memory just has room for.
#[tokio::test]
async fn the_documents_load_finds_its_checkpoints_in_memory() {
    let store = CachedCheckpointStore::new(InMemoryCheckpointStore::new(), &CheckpointCacheConfig::default());
    let mut owners = Vec::with_capacity(AGENTS);
    for agent in 0..AGENTS {
        owners.push(Owner::claim(&store, &format!("agent-{agent}")).await);
    }
    let state = bytes::Bytes::from(vec![b' '; 64 << 10]);
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..TURNS {
        let agent = random.usize(..AGENTS);
        store.load(LoadRequest::tip(thread(&format!("agent-{agent}")))).await.unwrap();
        let write = FieldWrite::Replace { name: "state".into(), value: state.clone() };
        let owner = &mut owners[agent];
        let commit = owner.commit(vec![write]);
        owner.send(commit).await.unwrap();
    }
    let stats = store.stats();
    assert!(stats.bytes > 60 << 20 && stats.bytes <= 100 << 20, "{stats:?}");
    assert!(stats.hit_rate() >= 0.85, "{stats:?}");
}
