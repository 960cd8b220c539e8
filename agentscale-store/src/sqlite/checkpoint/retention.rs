//! The task that prunes unasked.

use std::collections::HashMap;
use std::sync::Weak;

use agentscale_core::checkpoint::RetentionPolicy;
use tokio::sync::mpsc;

use super::Shared;
use super::op::{PruneThreads, Request};
use crate::retention::excess;

/// Threads that are counted at a time; beyond it, counting starts anew.
const COUNTED: usize = 100_000;
/// The most checkpoints that one transaction removes.
const BATCH: u64 = 1_000;

/// Prunes a thread whenever it has grown by as many checkpoints as the policy keeps, 64 at least. Ends
/// with the store.
pub(super) async fn run(store: Weak<Shared>, mut moved: mpsc::Receiver<i64>, policy: RetentionPolicy) {
    let excess = excess(&policy);
    let mut grown: HashMap<i64, u32> = HashMap::new();
    while let Some(thread) = moved.recv().await {
        if grown.len() >= COUNTED {
            grown.clear();
        }
        let count = grown.entry(thread).or_default();
        *count += 1;
        if *count < excess {
            continue;
        }
        grown.remove(&thread);
        let Some(store) = store.upgrade() else { return };
        let request = PruneThreads { threads: vec![thread], policy: policy.clone(), limit: BATCH };
        if let Err(error) = store.ask(Request::Prune(Box::new(request)), 0).await {
            tracing::warn!(%error, "cannot prune checkpoints");
        }
    }
}
