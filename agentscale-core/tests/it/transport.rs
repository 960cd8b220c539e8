//! Every transport of this crate keeps the promises of `Transport`.

use std::sync::Arc;

use agentscale_core::conformance::transport::{TransportHarness, TransportSettings, TransportUnderTest};
use agentscale_core::time::Clock;
use agentscale_core::transport::{DirectTransport, DirectTransportConfig, EncodingTransport, Transport};
use async_trait::async_trait;

mod direct_only;
#[cfg(feature = "nats")]
mod nats;

/// What stands around the direct transport.
struct InProcess(fn(DirectTransport) -> Arc<dyn Transport>);

#[async_trait]
impl TransportHarness for InProcess {
    fn paused(&self) -> bool {
        true
    }

    async fn start(&self, settings: TransportSettings, clock: Arc<dyn Clock>) -> TransportUnderTest {
        let config = DirectTransportConfig {
            max_message_bytes: settings.max_message_bytes,
            max_deliveries: settings.max_deliveries,
            ack_wait: settings.ack_wait,
            ..DirectTransportConfig::default()
        };
        let direct = DirectTransport::with_clock(config, clock);
        TransportUnderTest { transport: (self.0)(direct.clone()), probe: Arc::new(direct) }
    }
}

mod direct {
    use super::{Arc, InProcess};

    agentscale_core::transport_conformance!(InProcess(|direct| Arc::new(direct)));
}

mod forwarded {
    use super::{Arc, InProcess, Transport};

    agentscale_core::transport_conformance!(InProcess(|direct| {
        let boxed: Box<dyn Transport> = Box::new(direct);
        let shared: Arc<dyn Transport> = Arc::new(boxed);
        Arc::new(shared)
    }));
}

mod encoding {
    use super::{Arc, EncodingTransport, InProcess};

    agentscale_core::transport_conformance!(InProcess(|direct| Arc::new(EncodingTransport::new(direct))));
}

mod layered {
    use super::{Arc, InProcess};
    use agentscale_core::layers::{TimeoutConfig, TimeoutLayer};
    use agentscale_core::service::ServiceTransport;
    use std::time::Duration;

    agentscale_core::transport_conformance!(InProcess(|direct| {
        let timeout = TimeoutLayer::new(TimeoutConfig { after: Duration::from_secs(3_600) }).unwrap();
        Arc::new(ServiceTransport::layered(direct, &timeout))
    }));
}
