//! The suite of the trait, directly and through poolers; without servers these tests are left out.

use std::sync::Arc;

use agentscale_core::JobQueue;
use agentscale_core::conformance::jobs::JobQueueHarness;
use agentscale_core::testkit::TestServer;
use async_trait::async_trait;

use super::open;
use crate::postgres::Scene;

struct Jobs(TestServer, Option<Scene>);

impl Jobs {
    fn on(server: TestServer) -> Self {
        Self(server, Scene::new(server))
    }
}

#[async_trait]
impl JobQueueHarness for Jobs {
    async fn start(&self) -> Arc<dyn JobQueue> {
        self.another().await
    }

    async fn another(&self) -> Arc<dyn JobQueue> {
        Arc::new(open(self.1.as_ref().expect("the server is named")).await)
    }

    fn server(&self) -> Option<TestServer> {
        Some(self.0)
    }
}

mod direct {
    use super::{Jobs, TestServer};

    agentscale_core::job_queue_conformance!(Jobs::on(TestServer::Postgres));
}

mod pooled {
    use super::{Jobs, TestServer};

    agentscale_core::job_queue_conformance!(Jobs::on(TestServer::PgBouncer));
}

mod prepared {
    use super::{Jobs, TestServer};

    agentscale_core::job_queue_conformance!(Jobs::on(TestServer::PreparedPgBouncer));
}
