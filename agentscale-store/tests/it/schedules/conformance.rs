//! The suite of the trait over each store and each way to hold one.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::conformance::schedule::{ScheduleStoreHarness, Scheduled};
use agentscale_core::time::ManualClock;
use agentscale_core::{Clock, ScheduleStore};
use agentscale_store::{SqliteJobConfig, SqliteJobQueue, SqliteScheduleStore};
use async_trait::async_trait;
use tempfile::TempDir;

struct Sqlite(TempDir, ManualClock);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder is made"), ManualClock::new())
    }

    async fn open(&self) -> (SqliteJobQueue, SqliteScheduleStore) {
        let clock = Arc::new(self.1.clone());
        let path = self.0.path().join("queue.db");
        let queue = SqliteJobQueue::open_with(path, SqliteJobConfig::default(), clock).await;
        let queue = queue.expect("the queue opens");
        (queue.clone(), SqliteScheduleStore::on(queue))
    }
}

#[async_trait]
impl ScheduleStoreHarness for Sqlite {
    async fn start(&self) -> Scheduled {
        let (jobs, schedules) = self.open().await;
        Scheduled { schedules: Arc::new(schedules), jobs: Arc::new(jobs) }
    }

    async fn another(&self) -> Scheduled {
        self.start().await
    }

    async fn pass(&self, time: Duration) {
        self.1.advance(time);
    }

    fn unix_micros(&self) -> u64 {
        self.1.unix_micros()
    }
}

/// Held through one pointer more than the suite itself does.
struct Pointers(Sqlite);

#[async_trait]
impl ScheduleStoreHarness for Pointers {
    async fn start(&self) -> Scheduled {
        let (jobs, schedules) = self.0.open().await;
        let boxed: Box<dyn ScheduleStore> = Box::new(schedules);
        let shared: Arc<dyn ScheduleStore> = Arc::new(boxed);
        Scheduled { schedules: Arc::new(shared), jobs: Arc::new(jobs) }
    }

    async fn another(&self) -> Scheduled {
        self.start().await
    }

    async fn pass(&self, time: Duration) {
        self.0.pass(time).await;
    }

    fn unix_micros(&self) -> u64 {
        self.0.unix_micros()
    }
}

mod sqlite {
    agentscale_core::schedule_store_conformance!(super::Sqlite::new());
}

mod pointers {
    agentscale_core::schedule_store_conformance!(super::Pointers(super::Sqlite::new()));
}

#[cfg(feature = "postgres")]
mod postgres {
    //! On the server itself and behind a pooler; without them these tests are left out.

    use std::sync::Arc;

    use agentscale_core::conformance::schedule::{ScheduleStoreHarness, Scheduled};
    use agentscale_core::testkit::TestServer;
    use async_trait::async_trait;

    use crate::postgres::Scene;
    use crate::schedules::postgres::open;

    struct Postgres(TestServer, Option<Scene>);

    impl Postgres {
        fn new(server: TestServer) -> Self {
            Self(server, Scene::new(server))
        }
    }

    #[async_trait]
    impl ScheduleStoreHarness for Postgres {
        async fn start(&self) -> Scheduled {
            let (jobs, schedules) = open(self.1.as_ref().expect("the server is named")).await;
            Scheduled { schedules: Arc::new(schedules), jobs: Arc::new(jobs) }
        }

        async fn another(&self) -> Scheduled {
            self.start().await
        }

        fn server(&self) -> Option<TestServer> {
            Some(self.0)
        }
    }

    mod direct {
        agentscale_core::schedule_store_conformance!(super::Postgres::new(super::TestServer::Postgres));
    }

    mod pooled {
        agentscale_core::schedule_store_conformance!(super::Postgres::new(super::TestServer::PgBouncer));
    }

    mod prepared {
        agentscale_core::schedule_store_conformance!(super::Postgres::new(
            super::TestServer::PreparedPgBouncer
        ));
    }
}
