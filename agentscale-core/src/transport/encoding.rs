use std::sync::Arc;

use async_trait::async_trait;

use super::{Attachment, Inbox, Subscription, Transport, TransportCapabilities};
use crate::{AgentMessage, Error, ErrorKind, Result};

/// Encodes and decodes every message and reply as a network would, over a transport that need not.
///
/// It shows in one process what agent code that relies on shared bodies would meet across many.
#[derive(Clone, Debug)]
pub struct EncodingTransport<T> {
    inner: T,
}

impl<T: Transport> EncodingTransport<T> {
    /// Encodes what `inner` carries.
    pub fn new(inner: T) -> Self {
        Self { inner }
    }

    fn across(&self, message: &AgentMessage) -> Result<AgentMessage> {
        let encoded = message.encode()?;
        let limit = self.inner.capabilities().max_message_bytes;
        if encoded.len() > limit {
            return Err(Error::new(ErrorKind::TooLarge, "encode message")
                .with_context("bytes", encoded.len())
                .with_context("limit", limit));
        }
        AgentMessage::decode(&encoded)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Transport> Transport for EncodingTransport<T> {
    fn capabilities(&self) -> TransportCapabilities {
        self.inner.capabilities()
    }

    async fn send(&self, message: AgentMessage) -> Result<()> {
        self.inner.send(self.across(&message)?).await
    }

    async fn request(&self, message: AgentMessage) -> Result<AgentMessage> {
        match self.inner.request(self.across(&message)?).await {
            Ok(reply) => self.across(&reply),
            Err(error) => Err(error.to_wire().into()),
        }
    }

    async fn publish(&self, message: AgentMessage) -> Result<()> {
        self.inner.publish(self.across(&message)?).await
    }

    async fn attach(&self, subscription: Subscription, inbox: Arc<dyn Inbox>) -> Result<Attachment> {
        self.inner.attach(subscription, inbox).await
    }
}
