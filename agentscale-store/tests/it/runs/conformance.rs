//! The suite of the trait.

use std::sync::Arc;

use agentscale_core::RunStreams;
use agentscale_core::conformance::runs::RunStreamsHarness;
use agentscale_core::runs::RunStreamLimits;
use agentscale_core::testkit::TestServer;
use async_trait::async_trait;

use super::scene::{namespace, process_within};

struct Redis;

#[async_trait]
impl RunStreamsHarness for Redis {
    async fn start(&self, limits: RunStreamLimits) -> Arc<dyn RunStreams> {
        let url = TestServer::Redis.url().expect("the server is named");
        Arc::new(process_within(&url, &namespace(), limits))
    }

    fn server(&self) -> Option<TestServer> {
        Some(TestServer::Redis)
    }
}

agentscale_core::run_streams_conformance!(Redis);
