use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tower_layer::Layer;
use tower_service::Service;

use super::{call, shared_service};
use crate::transport::{Attachment, Inbox, Subscription, Transport, TransportCapabilities};
use crate::{AgentMessage, Error, Result};

shared_service! {
    /// The requests of a [`Transport`] as a service.
    TransportService over Transport:
    AgentMessage => AgentMessage: |transport, message| transport.request(message);
}

/// A [`Transport`] whose requests go through a stack of layers; its other calls do not.
#[derive(Clone, Debug)]
pub struct ServiceTransport<S, T> {
    stack: S,
    transport: Arc<T>,
}

impl<S, T: Transport> ServiceTransport<S, T> {
    /// Puts a layer, or a stack of them, before the requests of a transport.
    pub fn layered<L: Layer<TransportService<Arc<T>>, Service = S>>(transport: T, layer: &L) -> Self {
        let transport = Arc::new(transport);
        Self { stack: layer.layer(TransportService::new(Arc::clone(&transport))), transport }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S, T> Transport for ServiceTransport<S, T>
where
    S: Clone + Debug + Send + Sync + 'static,
    S: Service<AgentMessage, Response = AgentMessage, Error = Error, Future: Send>,
    T: Transport,
{
    fn capabilities(&self) -> TransportCapabilities {
        self.transport.capabilities()
    }
    async fn send(&self, message: AgentMessage) -> Result<()> {
        self.transport.send(message).await
    }
    async fn request(&self, message: AgentMessage) -> Result<AgentMessage> {
        call(&self.stack, message).await
    }
    async fn publish(&self, message: AgentMessage) -> Result<()> {
        self.transport.publish(message).await
    }
    async fn attach(&self, subscription: Subscription, inbox: Arc<dyn Inbox>) -> Result<Attachment> {
        self.transport.attach(subscription, inbox).await
    }
}
