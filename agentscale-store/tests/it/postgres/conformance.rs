//! The suite of the trait, on the server itself and behind a pooler.

use std::sync::Arc;

use agentscale_core::CheckpointStore;
use agentscale_core::checkpoint::StateLimits;
use agentscale_core::conformance::checkpoint::CheckpointStoreHarness;
use agentscale_core::testkit::TestServer;
use async_trait::async_trait;

use super::Scene;

struct Postgres(TestServer, Option<Scene>);

impl Postgres {
    fn on(server: TestServer) -> Self {
        Self(server, Scene::new(server))
    }
}

#[async_trait]
impl CheckpointStoreHarness for Postgres {
    fn server(&self) -> Option<TestServer> {
        Some(self.0)
    }

    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
        let scene = self.1.as_ref().expect("without its server the suite is left out");
        Arc::new(scene.open_within(limits).await)
    }
}

mod direct {
    use super::{Postgres, TestServer};

    agentscale_core::checkpoint_store_conformance!(Postgres::on(TestServer::Postgres));
}

mod pooled {
    use super::{Postgres, TestServer};

    agentscale_core::checkpoint_store_conformance!(Postgres::on(TestServer::PgBouncer));
}

mod prepared {
    use super::{Postgres, TestServer};

    agentscale_core::checkpoint_store_conformance!(Postgres::on(TestServer::PreparedPgBouncer));
}

mod logged {
    use super::{Postgres, TestServer};
    use crate::logged::conformance::{Locally, Logged};

    mod direct {
        use super::{Locally, Logged, Postgres, TestServer};

        agentscale_core::checkpoint_store_conformance!(Locally(Logged::new(Postgres::on(
            TestServer::Postgres
        ))));
    }

    mod pooled {
        use super::{Locally, Logged, Postgres, TestServer};

        agentscale_core::checkpoint_store_conformance!(Locally(Logged::new(Postgres::on(
            TestServer::PgBouncer
        ))));
    }
}

/// What a server takes that a file or memory would not show: the headers of sealed states, for one.
#[cfg(all(feature = "cache", feature = "encryption"))]
mod decorated {
    use super::{Postgres, TestServer};
    use crate::conformance::cached::Cached;
    use crate::conformance::encrypted::Encrypted;

    mod direct {
        use super::{Cached, Encrypted, Postgres, TestServer};

        agentscale_core::checkpoint_store_conformance!(Cached(Encrypted(Postgres::on(TestServer::Postgres))));
    }

    mod pooled {
        use super::{Cached, Encrypted, Postgres, TestServer};

        agentscale_core::checkpoint_store_conformance!(Encrypted(Cached(Postgres::on(
            TestServer::PgBouncer
        ))));
    }
}
