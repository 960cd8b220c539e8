//! Two nodes without Redis, whose changes go over a topic of a transport.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::transport::{DirectTransport, MailboxLimits, Subscription};
use agentscale_core::{
    AgentMessage, Body, Destination, MessageKind, Result, Stamp, Tenant, Topic, Transport, TransportExt,
};
use agentscale_store::cache::{
    CacheConfig, CacheKey, CachedType, InvalidationBus, NodeCache, Reach, Tag, TagKind,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

#[derive(Debug)]
struct TopicBus(DirectTransport);

fn host() -> Tenant {
    Tenant::new("host").expect("a name")
}

fn topic() -> Topic {
    Topic::new("cache-changes").expect("a name")
}

#[async_trait]
impl InvalidationBus for TopicBus {
    async fn publish(&self, message: Bytes) -> Result<()> {
        let to = Destination::Topic(topic());
        let body = Body::new(message.to_vec());
        self.0.publish(AgentMessage::new(MessageKind::Event, host(), to, body, Stamp::default())).await
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Bytes>> {
        let subscription = Subscription::topic(host(), topic());
        let subscriber = self.0.subscribe(subscription, MailboxLimits::default()).await?;
        let next = async |mut subscriber: agentscale_core::transport::Subscriber| {
            let delivery = subscriber.next().await;
            let body = delivery.message.body::<Vec<u8>>().ok()?;
            Some((Bytes::from(body.to_vec()), subscriber))
        };
        Ok(stream::unfold(subscriber, next).boxed())
    }
}

#[tokio::test]
async fn a_change_reaches_a_node_over_a_topic() {
    let transport = DirectTransport::new();
    let node = || {
        let bus = Arc::new(TopicBus(transport.clone()));
        NodeCache::builder(CacheConfig::default()).with_bus(bus).build().unwrap()
    };
    let (here, there) = (node(), node());
    let cache = there.of::<u64>(CachedType::LlmResponses).unwrap();
    let tag = |name: &str| Tag::new(&host(), TagKind::File, name);
    let (used, unrelated) = (CacheKey::new(&host(), "used"), CacheKey::new(&host(), "unrelated"));
    cache.put(&used, 1, &[tag("used")]).await.unwrap();
    cache.put(&unrelated, 2, &[tag("unrelated")]).await.unwrap();
    while cache.get(&used).await.is_some() {
        assert_eq!(here.changed(&[tag("used")]).await, Reach::Everywhere);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(cache.get(&unrelated).await.as_deref(), Some(&2));
    // One's own messages come back, and are not counted again.
    assert_eq!(here.changed(&[tag("unrelated")]).await, Reach::Everywhere);
    let own = here.of::<u64>(CachedType::LlmResponses).unwrap();
    own.put(&unrelated, 3, &[tag("unrelated")]).await.unwrap();
    while cache.get(&unrelated).await.is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(own.get(&unrelated).await.as_deref(), Some(&3));
}
