use std::any::Any;
use std::fmt;

use crate::{AgentType, Tenant, Topic};

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
    /// Whether deliveries wait for their acknowledgement and come again without one. Requests do not: who waits for
    /// the reply is told what became of it. The members of a group agree on this.
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
