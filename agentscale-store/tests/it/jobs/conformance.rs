//! The suite of the trait over each queue and each way to hold one.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::JobQueue;
use agentscale_core::conformance::jobs::JobQueueHarness;
use agentscale_core::time::ManualClock;
use agentscale_store::{SqliteJobConfig, SqliteJobQueue};
use async_trait::async_trait;
use tempfile::TempDir;

/// Time passes when it is said.
struct Sqlite(TempDir, ManualClock);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder is made"), ManualClock::default())
    }

    async fn open(&self) -> SqliteJobQueue {
        let (path, clock) = (self.0.path().join("queue.db"), Arc::new(self.1.clone()));
        SqliteJobQueue::open_with(path, SqliteJobConfig::default(), clock).await.expect("the queue opens")
    }
}

#[async_trait]
impl JobQueueHarness for Sqlite {
    async fn start(&self) -> Arc<dyn JobQueue> {
        Arc::new(self.open().await)
    }

    async fn another(&self) -> Arc<dyn JobQueue> {
        Arc::new(self.open().await)
    }

    async fn pass(&self, time: Duration) {
        self.1.advance(time);
    }
}

/// Held through one pointer more than the suite itself does.
struct Pointers(Sqlite);

#[async_trait]
impl JobQueueHarness for Pointers {
    async fn start(&self) -> Arc<dyn JobQueue> {
        let boxed: Box<dyn JobQueue> = Box::new(self.0.open().await);
        let shared: Arc<dyn JobQueue> = Arc::new(boxed);
        Arc::new(shared)
    }

    async fn another(&self) -> Arc<dyn JobQueue> {
        self.0.another().await
    }

    async fn pass(&self, time: Duration) {
        self.0.pass(time).await;
    }
}

mod sqlite {
    agentscale_core::job_queue_conformance!(super::Sqlite::new());
}

mod pointers {
    agentscale_core::job_queue_conformance!(super::Pointers(super::Sqlite::new()));
}
