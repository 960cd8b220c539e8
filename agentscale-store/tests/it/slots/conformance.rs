//! The suite of the trait over each store and each way to hold one.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::SlotStore;
use agentscale_core::conformance::slots::SlotStoreHarness;
use agentscale_core::time::ManualClock;
use agentscale_store::sqlite::SqliteConfig;
use agentscale_store::{InMemorySlotStore, SqliteSlotStore};
use async_trait::async_trait;
use tempfile::TempDir;

#[derive(Default)]
struct Memory(ManualClock);

#[async_trait]
impl SlotStoreHarness for Memory {
    async fn start(&self) -> Arc<dyn SlotStore> {
        // Through one pointer more than the suite itself does.
        let store: Box<dyn SlotStore> =
            Box::new(InMemorySlotStore::new().with_clock(Arc::new(self.0.clone())));
        Arc::new(store)
    }

    async fn pass(&self, time: Duration) {
        self.0.advance(time);
    }
}

struct Sqlite(TempDir, ManualClock);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder is made"), ManualClock::default())
    }
}

#[async_trait]
impl SlotStoreHarness for Sqlite {
    async fn start(&self) -> Arc<dyn SlotStore> {
        let (path, clock) = (self.0.path().join("slots.db"), Arc::new(self.1.clone()));
        let store = SqliteSlotStore::open_with(path, &SqliteConfig::default(), clock).await;
        Arc::new(store.expect("the store opens"))
    }

    async fn pass(&self, time: Duration) {
        self.1.advance(time);
    }
}

mod memory {
    agentscale_core::slot_store_conformance!(super::Memory::default());
}

mod sqlite {
    agentscale_core::slot_store_conformance!(super::Sqlite::new());
}

#[cfg(feature = "postgres")]
pub(super) mod postgres {
    //! On the server itself and behind a pooler; without them these tests are left out.

    use std::sync::Arc;
    use std::time::Duration;

    use agentscale_core::SlotStore;
    use agentscale_core::conformance::slots::SlotStoreHarness;
    use agentscale_core::testkit::TestServer;
    use agentscale_store::PostgresSlotStore;
    use agentscale_store::postgres::Postgres;
    use async_trait::async_trait;

    use crate::postgres::Scene;

    pub(crate) async fn open(scene: &Scene) -> PostgresSlotStore {
        let database = scene.config().database;
        let postgres = Postgres::open(&scene.url, &database, 0).await.expect("the database opens");
        PostgresSlotStore::on(postgres).await.expect("the tables are made")
    }

    struct OnServer(TestServer, Option<Scene>);

    impl OnServer {
        fn new(server: TestServer) -> Self {
            Self(server, Scene::new(server))
        }
    }

    #[async_trait]
    impl SlotStoreHarness for OnServer {
        async fn start(&self) -> Arc<dyn SlotStore> {
            Arc::new(open(self.1.as_ref().expect("the server is named")).await)
        }

        /// As if the server's clock had gone on.
        async fn pass(&self, time: Duration) {
            let micros = time.as_micros();
            let scene = self.1.as_ref().expect("the server is named");
            scene
                .execute(&format!(
                    "UPDATE @.slot_members SET expires = expires - {micros}, seen = seen - {micros};
                     UPDATE @.slot_holds SET since = since - {micros}"
                ))
                .await;
        }

        fn server(&self) -> Option<TestServer> {
            Some(self.0)
        }
    }

    mod direct {
        agentscale_core::slot_store_conformance!(super::OnServer::new(super::TestServer::Postgres));
    }

    mod pooled {
        agentscale_core::slot_store_conformance!(super::OnServer::new(super::TestServer::PgBouncer));
    }

    mod prepared {
        agentscale_core::slot_store_conformance!(super::OnServer::new(super::TestServer::PreparedPgBouncer));
    }

    #[tokio::test]
    async fn after_a_step_back_of_the_clock_no_lease_has_more_than_its_time() {
        use agentscale_core::slots::{JoinRequest, SlotExchange, SlotKey, SlotLine};

        let Some(scene) = Scene::new(TestServer::Postgres) else { return };
        let store = open(&scene).await;
        let ttl = Duration::from_millis(300);
        let key = SlotKey::new("acme".try_into().unwrap(), None);
        let line = SlotLine { key: key.clone(), limit: 1, used: 0, wanted: 1 };
        let ask = |epoch| SlotExchange::new(epoch, 1, ttl).with_lines(vec![line.clone()]);
        let lost = store.join(JoinRequest::new(ttl)).await.unwrap().epoch;
        store.exchange(ask(lost)).await.unwrap();
        // As after a step back by ten minutes.
        scene
            .execute("UPDATE @.slot_members SET expires = expires + 600000000, seen = seen + 600000000")
            .await;
        store.join(JoinRequest::new(ttl)).await.unwrap();
        assert_eq!(store.held(std::slice::from_ref(&key)).await.unwrap(), [1]);
        tokio::time::sleep(ttl).await;
        let next = store.join(JoinRequest::new(ttl)).await.unwrap().epoch;
        assert_eq!(store.exchange(ask(next)).await.unwrap().grants[0].held, 1);
    }
}
