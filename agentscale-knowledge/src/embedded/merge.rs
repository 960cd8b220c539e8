//! The task that builds graphs for tenants that outgrew their scan.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agentscale_core::{ErrorKind, Result};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::follow::blocking;
use crate::index::VectorIndex;

/// What the task works on.
#[derive(Debug)]
pub(super) struct Merger {
    pub(super) index: Arc<VectorIndex>,
    pub(super) outgrown: Arc<Notify>,
    pub(super) closing: Arc<AtomicBool>,
    /// Held as long as anything writes to the folder.
    pub(super) lock: Arc<File>,
}

impl Merger {
    pub(super) fn start(self) -> JoinHandle<()> {
        tokio::spawn(self.run())
    }

    async fn run(self) {
        while !self.closing.load(Ordering::Acquire) {
            if let Err(error) = self.merge_all().await
                && error.kind() != ErrorKind::Cancelled
            {
                tracing::warn!(%error, "building a graph failed; its vectors are scanned meanwhile");
            }
            self.outgrown.notified().await;
        }
        drop(self.lock);
    }

    async fn merge_all(&self) -> Result<()> {
        loop {
            let (index, closing) = (self.index.clone(), self.closing.clone());
            let merged = blocking("merge vectors", move || {
                let Some(partition) = index.to_merge()?.first().copied() else { return Ok(false) };
                index.merge(partition, &|| closing.load(Ordering::Acquire))?;
                Ok(true)
            });
            if !merged.await? || self.closing.load(Ordering::Acquire) {
                return Ok(());
            }
        }
    }
}
