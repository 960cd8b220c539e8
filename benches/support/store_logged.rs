//! How long a log keeps an agent, beside the device's own sync.
//!
//! One agent commits 1 KiB at *local*, again and again; before each commit the same thread appends 4 KiB to a file of
//! the same folder and syncs it. The shared store is in memory, as one on another machine does nothing to this one's
//! disk; its commits follow meanwhile, and what was flushed is removed from the log.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentscale_core::checkpoint::Durability;
use agentscale_core::lease::{AcquireRequest, Lease, LeaseKey};
use agentscale_core::{CheckpointStore, Tenant};
use agentscale_store::{
    InMemoryCheckpointStore, InMemoryLeaseStore, LoggedCheckpointConfig, LoggedCheckpointStore,
};

use super::{Failure, ROW_BYTES, Waited, first, next};

/// Both in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acknowledged {
    pub(super) sync: Waited,
    pub(super) log: Waited,
}

pub(super) async fn acknowledged(folder: &Path, time: Duration) -> Result<Acknowledged, Failure> {
    let key = LeaseKey::new(&Tenant::new("acme")?, "node", "bench")?;
    let request = AcquireRequest::new(key, "bench".try_into()?, Duration::from_secs(60));
    let lease = Lease::acquire(Arc::new(InMemoryLeaseStore::new()), request).await?;
    let config = LoggedCheckpointConfig::default();
    let shared = InMemoryCheckpointStore::new();
    let store = LoggedCheckpointStore::open(shared, folder.join("log.db"), lease.watch(), config).await?;
    let mut commit = first(&store, 0, Durability::Local, ROW_BYTES).await?;
    let mut probe = File::create(folder.join("log-probe"))?;
    let (mut syncs, mut acknowledgements) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed() < time {
        let began = Instant::now();
        probe.write_all(&[7; 4_096])?;
        probe.sync_data()?;
        syncs.push(began.elapsed().as_secs_f64() * 1e6);

        commit = next(commit);
        let sent = commit.clone();
        let began = Instant::now();
        let committed = store.commit(sent).await?;
        acknowledgements.push(began.elapsed().as_secs_f64() * 1e6);
        assert_eq!(committed.level, Durability::Local);
    }
    store.flush().await?;
    store.close().await?;
    lease.close().await?;
    Ok(Acknowledged { sync: Waited::of(syncs), log: Waited::of(acknowledgements) })
}
