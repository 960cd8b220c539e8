//! Blocking work on threads of its own, bounded in number.

use std::sync::Arc;

use agentscale_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

#[derive(Clone, Debug)]
pub(crate) struct BlockingPool {
    threads: Arc<Semaphore>,
}

impl BlockingPool {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads: Arc::new(Semaphore::new(threads.min(Semaphore::MAX_PERMITS))) }
    }

    /// Runs `work` on a blocking thread once one is free. Work that has begun is not stopped by a dropped future.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let failed = || Error::new(ErrorKind::Internal, "run blocking work");
        let thread =
            self.threads.clone().acquire_owned().await.map_err(|error| failed().with_source(error))?;
        let work = move || {
            let _thread = thread;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| failed().with_source(error))
    }
}
