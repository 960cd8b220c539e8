//! The suite of the trait over each store and each way to hold one.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::LeaseStore;
use agentscale_core::conformance::lease::LeaseStoreHarness;
use agentscale_core::time::ManualClock;
use agentscale_store::{InMemoryLeaseStore, SqliteLeaseStore};
use async_trait::async_trait;
use tempfile::TempDir;

#[derive(Default)]
struct Memory(ManualClock);

#[async_trait]
impl LeaseStoreHarness for Memory {
    async fn start(&self) -> Arc<dyn LeaseStore> {
        Arc::new(InMemoryLeaseStore::new().with_clock(Arc::new(self.0.clone())))
    }

    async fn pass(&self, time: Duration) {
        self.0.advance(time);
    }
}

/// On the machine's own clock.
struct Sqlite(TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder is made"))
    }

    async fn open(&self) -> SqliteLeaseStore {
        SqliteLeaseStore::open(self.0.path().join("leases.db")).await.expect("the store opens")
    }
}

#[async_trait]
impl LeaseStoreHarness for Sqlite {
    async fn start(&self) -> Arc<dyn LeaseStore> {
        Arc::new(self.open().await)
    }
}

/// Held through one pointer more than the suite itself does.
struct Pointers(Sqlite);

#[async_trait]
impl LeaseStoreHarness for Pointers {
    async fn start(&self) -> Arc<dyn LeaseStore> {
        let boxed: Box<dyn LeaseStore> = Box::new(self.0.open().await);
        let shared: Arc<dyn LeaseStore> = Arc::new(boxed);
        Arc::new(shared)
    }
}

mod memory {
    agentscale_core::lease_store_conformance!(super::Memory::default());
}

mod sqlite {
    agentscale_core::lease_store_conformance!(super::Sqlite::new());
}

mod pointers {
    agentscale_core::lease_store_conformance!(super::Pointers(super::Sqlite::new()));
}

#[cfg(feature = "postgres")]
mod postgres {
    //! On the server itself and behind a pooler; without them these tests are left out.

    use std::sync::Arc;

    use agentscale_core::LeaseStore;
    use agentscale_core::conformance::lease::LeaseStoreHarness;
    use agentscale_core::testkit::TestServer;
    use async_trait::async_trait;

    use crate::leases::postgres;
    use crate::postgres::Scene;

    struct Postgres(TestServer, Option<Scene>);

    impl Postgres {
        fn new(server: TestServer) -> Self {
            Self(server, Scene::new(server))
        }
    }

    #[async_trait]
    impl LeaseStoreHarness for Postgres {
        async fn start(&self) -> Arc<dyn LeaseStore> {
            Arc::new(postgres::open(self.1.as_ref().expect("the server is named")).await)
        }

        fn server(&self) -> Option<TestServer> {
            Some(self.0)
        }
    }

    mod direct {
        agentscale_core::lease_store_conformance!(super::Postgres::new(super::TestServer::Postgres));
    }

    mod pooled {
        agentscale_core::lease_store_conformance!(super::Postgres::new(super::TestServer::PgBouncer));
    }

    mod prepared {
        agentscale_core::lease_store_conformance!(super::Postgres::new(super::TestServer::PreparedPgBouncer));
    }
}
