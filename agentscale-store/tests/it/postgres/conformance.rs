//! The suite of the trait, on the server itself and behind a pooler.

use std::sync::Arc;

use agentscale_core::CheckpointStore;
use agentscale_core::checkpoint::StateLimits;
use agentscale_core::conformance::checkpoint::CheckpointStoreHarness;
use agentscale_core::testkit::TestServer;
use agentscale_store::InMemoryCheckpointStore;
use async_trait::async_trait;

use super::Scene;

struct Postgres(Option<Scene>);

#[async_trait]
impl CheckpointStoreHarness for Postgres {
    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
        match &self.0 {
            Some(scene) => Arc::new(scene.open_within(limits).await),
            // Said to be left out; what runs instead is tested elsewhere.
            None => Arc::new(InMemoryCheckpointStore::new().with_retention(None).with_limits(limits)),
        }
    }
}

mod direct {
    use super::{Postgres, Scene, TestServer};

    agentscale_core::checkpoint_store_conformance!(Postgres(Scene::new(TestServer::Postgres)));
}

mod pooled {
    use super::{Postgres, Scene, TestServer};

    agentscale_core::checkpoint_store_conformance!(Postgres(Scene::new(TestServer::PgBouncer)));
}

mod prepared {
    use super::{Postgres, Scene, TestServer};

    agentscale_core::checkpoint_store_conformance!(Postgres(Scene::new(TestServer::PreparedPgBouncer)));
}

mod logged {
    use super::{Postgres, Scene, TestServer};
    use crate::logged::conformance::{Locally, Logged};

    mod direct {
        use super::{Locally, Logged, Postgres, Scene, TestServer};

        agentscale_core::checkpoint_store_conformance!(Locally(Logged::new(Postgres(Scene::new(
            TestServer::Postgres
        )))));
    }

    mod pooled {
        use super::{Locally, Logged, Postgres, Scene, TestServer};

        agentscale_core::checkpoint_store_conformance!(Locally(Logged::new(Postgres(Scene::new(
            TestServer::PgBouncer
        )))));
    }
}

/// What a server takes that a file or memory would not show: the headers of sealed states, for one.
#[cfg(all(feature = "cache", feature = "encryption"))]
mod decorated {
    use super::{Postgres, Scene, TestServer};
    use crate::conformance::cached::Cached;
    use crate::conformance::encrypted::Encrypted;

    mod direct {
        use super::{Cached, Encrypted, Postgres, Scene, TestServer};

        agentscale_core::checkpoint_store_conformance!(Cached(Encrypted(Postgres(Scene::new(
            TestServer::Postgres
        )))));
    }

    mod pooled {
        use super::{Cached, Encrypted, Postgres, Scene, TestServer};

        agentscale_core::checkpoint_store_conformance!(Encrypted(Cached(Postgres(Scene::new(
            TestServer::PgBouncer
        )))));
    }
}
