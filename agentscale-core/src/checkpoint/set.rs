use std::path::PathBuf;
use std::sync::Arc;

use super::CheckpointStore;

/// The durable stores of one runtime, and the folder that it alone may use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreSet {
    /// Keeps the agents' threads.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// The folder of embedded stores, which one runtime at a time may use; `None` for stores that are shared.
    pub folder: Option<PathBuf>,
}

impl StoreSet {
    /// Stores that several runtimes may share.
    pub fn new(checkpoints: Arc<dyn CheckpointStore>) -> Self {
        Self { checkpoints, folder: None }
    }

    /// Stores in a folder that one runtime at a time may use.
    #[must_use]
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }
}
