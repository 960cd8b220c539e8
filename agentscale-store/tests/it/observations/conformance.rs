//! The suite over each store.

use std::sync::Arc;

use agentscale_store::SqliteObservationStore;
use agentscale_store::observations::ObservationStore;
use async_trait::async_trait;
use tempfile::TempDir;

use super::suite::{Harness, observation_store_suite};

struct Sqlite(TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder is made"))
    }
}

#[async_trait]
impl Harness for Sqlite {
    async fn start(&self) -> Arc<dyn ObservationStore> {
        let path = self.0.path().join("observations.db");
        Arc::new(SqliteObservationStore::open(path).await.expect("the store opens"))
    }
}

mod sqlite {
    super::observation_store_suite!(super::Sqlite::new());
}

#[cfg(feature = "postgres")]
mod postgres {
    //! On the server itself and behind a pooler; without them these tests are left out.

    use std::sync::Arc;

    use agentscale_core::testkit::TestServer;
    use agentscale_store::observations::ObservationStore;
    use async_trait::async_trait;

    use crate::observations::postgres;
    use crate::observations::scene::NOVEMBER;
    use crate::observations::suite::{Harness, observation_store_suite};
    use crate::postgres::Scene;

    struct Postgres(TestServer, Option<Scene>);

    impl Postgres {
        fn new(server: TestServer) -> Self {
            Self(server, Scene::new(server))
        }
    }

    #[async_trait]
    impl Harness for Postgres {
        async fn start(&self) -> Arc<dyn ObservationStore> {
            let store = postgres::open(self.1.as_ref().expect("the server is named"), &["acme"]).await;
            store.maintain(NOVEMBER).await.expect("months are made");
            Arc::new(store)
        }

        fn server(&self) -> Option<TestServer> {
            Some(self.0)
        }
    }

    mod direct {
        super::observation_store_suite!(super::Postgres::new(super::TestServer::Postgres));
    }

    mod pooled {
        super::observation_store_suite!(super::Postgres::new(super::TestServer::PgBouncer));
    }

    mod prepared {
        super::observation_store_suite!(super::Postgres::new(super::TestServer::PreparedPgBouncer));
    }
}
