//! A bus whose messages a test loses or keeps back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agentscale_core::Result;
use agentscale_store::cache::{InvalidationBus, RedisBus};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Gate {
    inner: RedisBus,
    loses: AtomicBool,
    stands: watch::Sender<bool>,
}

impl Gate {
    pub(crate) fn new(inner: RedisBus) -> Arc<Self> {
        Arc::new(Self { inner, loses: AtomicBool::new(false), stands: watch::Sender::new(false) })
    }

    /// Whether what is published from now on gets lost.
    pub(crate) fn lose(&self, loses: bool) {
        self.loses.store(loses, Ordering::SeqCst);
    }

    /// Whether messages wait before they are received.
    pub(crate) fn stand(&self, stands: bool) {
        self.stands.send_replace(stands);
    }
}

#[async_trait]
impl InvalidationBus for Gate {
    async fn publish(&self, message: Bytes) -> Result<()> {
        if self.loses.load(Ordering::SeqCst) { Ok(()) } else { self.inner.publish(message).await }
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Bytes>> {
        let stands = self.stands.subscribe();
        let messages = self.inner.subscribe().await?;
        let pass = move |message| {
            let mut stands = stands.clone();
            async move {
                // Its sender lives as long as the bus.
                let _ = stands.wait_for(|stands| !stands).await;
                message
            }
        };
        Ok(messages.then(pass).boxed())
    }
}
