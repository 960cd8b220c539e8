use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use std::collections::VecDeque;
use tokio::sync::Notify;

use super::{Delivery, Inbox, MailboxLimits, Refused, Transport};
use crate::{AgentType, Error, ErrorKind, Result, Tenant, Topic};

/// What a subscription is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubscriptionTarget {
    /// The agents of a type, of every tenant. Several attachments share the work: each message goes to one.
    Pool(AgentType),
    /// A topic within a tenant.
    Topic(Tenant, Topic),
}

/// Asks for deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// What for.
    pub target: SubscriptionTarget,
    /// The queue group of a topic: each message goes to one member of a group.
    pub group: Option<String>,
    /// Whether deliveries wait for their acknowledgement and come again without one.
    pub acknowledged: bool,
}

impl Subscription {
    /// The agents of a type.
    pub fn pool(agent_type: AgentType) -> Self {
        Self { target: SubscriptionTarget::Pool(agent_type), group: None, acknowledged: false }
    }

    /// A topic within a tenant.
    pub fn topic(tenant: Tenant, topic: Topic) -> Self {
        Self { target: SubscriptionTarget::Topic(tenant, topic), group: None, acknowledged: false }
    }

    /// As a member of a queue group.
    #[must_use]
    pub fn in_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Deliveries come again until they are acknowledged or dead letters.
    #[must_use]
    pub fn acknowledged(mut self) -> Self {
        self.acknowledged = true;
        self
    }
}

/// Keeps a subscription; dropping it ends it.
#[must_use = "the subscription ends when its attachment is dropped"]
pub struct Attachment(#[expect(dead_code, reason = "kept for its drop")] Box<dyn Any + Send + Sync>);

impl Attachment {
    /// An attachment that drops `guard` at its end.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attachment")
    }
}

/// Conveniences over every [`Transport`].
pub trait TransportExt: Transport {
    /// Subscribes with a bounded mailbox to read from.
    ///
    /// # Errors
    /// As for [`Transport::attach`].
    fn subscribe(
        &self,
        subscription: Subscription,
        limits: MailboxLimits,
    ) -> impl Future<Output = Result<Subscriber>> + Send {
        async move {
            let mailbox = Arc::new(Mailbox { limits, queue: Mutex::default(), arrived: Notify::new() });
            let attachment = self.attach(subscription, mailbox.clone()).await?;
            Ok(Subscriber { mailbox, _attachment: attachment })
        }
    }
}

impl<T: Transport + ?Sized> TransportExt for T {}

/// Reads the deliveries of a subscription. One reader: the methods take `&mut self`.
#[derive(Debug)]
pub struct Subscriber {
    mailbox: Arc<Mailbox>,
    _attachment: Attachment,
}

impl Subscriber {
    /// The next delivery.
    ///
    /// # Cancel safety
    /// A dropped future loses no delivery.
    pub async fn next(&mut self) -> Delivery {
        loop {
            if let Some(delivery) = self.try_next() {
                return delivery;
            }
            self.mailbox.arrived.notified().await;
        }
    }

    /// The next delivery, if there is one.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.mailbox.take()
    }
}

#[derive(Debug)]
struct Mailbox {
    limits: MailboxLimits,
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    deliveries: VecDeque<(Delivery, usize)>,
    bytes: usize,
}

impl Mailbox {
    fn take(&self) -> Option<Delivery> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (delivery, bytes) = queue.deliveries.pop_front()?;
        queue.bytes -= bytes;
        Some(delivery)
    }
}

impl Inbox for Mailbox {
    fn deliver(&self, delivery: Delivery) -> Result<(), Refused> {
        let bytes = delivery.message.size_hint();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.limits.admit(queue.deliveries.len(), queue.bytes, bytes) {
            let error = Error::new(ErrorKind::Overloaded, "deliver to subscriber")
                .with_context("messages", queue.deliveries.len())
                .with_context("bytes", queue.bytes);
            return Err(Refused::new(delivery, error));
        }
        queue.bytes += bytes;
        queue.deliveries.push_back((delivery, bytes));
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }
}
