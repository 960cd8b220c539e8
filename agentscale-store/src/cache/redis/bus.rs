use std::fmt;

use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use redis::{Client, RedisError, cmd};

use crate::cache::InvalidationBus;
use crate::redis_link::RedisLink;

/// A channel of a Redis, by whose own connection each subscriber gets what is published. It tells nobody what is missed;
/// [`RedisCache`](super::RedisCache) finds that out by the numbers of changes.
#[derive(Clone)]
pub struct RedisBus {
    client: Client,
    link: RedisLink,
    channel: String,
}

impl RedisBus {
    pub(super) fn new(client: Client, link: RedisLink, namespace: &str) -> Self {
        Self { client, link, channel: format!("{namespace}:cache:changed") }
    }
}

#[async_trait]
impl InvalidationBus for RedisBus {
    async fn publish(&self, message: Bytes) -> Result<()> {
        let mut command = cmd("PUBLISH");
        command.arg(&self.channel).arg(&message[..]);
        self.link.ask(&command).await
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Bytes>> {
        let failed = |native: RedisError| {
            Error::new(ErrorKind::Unavailable, "subscribe to changes").with_source(native)
        };
        let mut messages = self.client.get_async_pubsub().await.map_err(failed)?;
        messages.subscribe(&self.channel).await.map_err(failed)?;
        let messages = messages.into_on_message();
        Ok(messages.map(|message| Bytes::copy_from_slice(message.get_payload_bytes())).boxed())
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").field("channel", &self.channel).finish_non_exhaustive()
    }
}
