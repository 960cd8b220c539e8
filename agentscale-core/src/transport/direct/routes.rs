//! Who receives what: groups of inboxes, of which one gets a message.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use super::redelivery::Redelivery;
use crate::transport::{Attachment, Delivery, Inbox, Refused, Subscription, SubscriptionTarget};
use crate::{AgentType, Error, ErrorKind, Tenant, Topic};

#[derive(Debug, Default)]
pub(super) struct Routes {
    tables: Arc<RwLock<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    pools: HashMap<AgentType, Arc<Group>>,
    topics: HashMap<(Tenant, Topic), Vec<Arc<Group>>>,
}

/// Inboxes that share the work.
#[derive(Debug)]
pub(super) struct Group {
    /// A topic's queue group; a subscriber without one is alone in its group.
    name: Option<String>,
    is_pool: bool,
    members: RwLock<Vec<Member>>,
    next: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Member {
    inbox: Arc<dyn Inbox>,
    acknowledged: bool,
}

impl Routes {
    pub(super) fn pool(&self, agent_type: &AgentType) -> Option<Arc<Group>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.pools.get(agent_type).cloned()
    }

    pub(super) fn topic(&self, tenant: &Tenant, topic: &Topic) -> Vec<Arc<Group>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.topics.get(&(tenant.clone(), topic.clone())).cloned().unwrap_or_default()
    }

    pub(super) fn attach(&self, subscription: Subscription, inbox: Arc<dyn Inbox>) -> Attachment {
        let member = Member { inbox: inbox.clone(), acknowledged: subscription.acknowledged };
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let group = tables.group(subscription.clone());
        group.members.write().unwrap_or_else(PoisonError::into_inner).push(member);
        Attachment::new(Detach {
            tables: Arc::downgrade(&self.tables),
            target: subscription.target,
            group,
            inbox,
        })
    }
}

impl Tables {
    fn group(&mut self, subscription: Subscription) -> Arc<Group> {
        match subscription.target {
            SubscriptionTarget::Pool(agent_type) => {
                self.pools.entry(agent_type).or_insert_with(|| Arc::new(Group::new(None, true))).clone()
            }
            SubscriptionTarget::Topic(tenant, topic) => {
                let groups = self.topics.entry((tenant, topic)).or_default();
                let known = groups
                    .iter()
                    .find(|group| subscription.group.is_some() && group.name == subscription.group);
                let group = known.cloned().unwrap_or_else(|| Arc::new(Group::new(subscription.group, false)));
                if !groups.iter().any(|known| Arc::ptr_eq(known, &group)) {
                    groups.push(group.clone());
                }
                group
            }
        }
    }

    fn forget_if_empty(&mut self, target: &SubscriptionTarget, group: &Arc<Group>) {
        if !group.members.read().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
        match target {
            SubscriptionTarget::Pool(agent_type) => {
                self.pools.remove(agent_type);
            }
            SubscriptionTarget::Topic(tenant, topic) => {
                let key = (tenant.clone(), topic.clone());
                if let Some(groups) = self.topics.get_mut(&key) {
                    groups.retain(|known| !Arc::ptr_eq(known, group));
                    if groups.is_empty() {
                        self.topics.remove(&key);
                    }
                }
            }
        }
    }
}

impl Group {
    fn new(name: Option<String>, is_pool: bool) -> Self {
        Self { name, is_pool, members: RwLock::default(), next: AtomicUsize::new(0) }
    }

    /// Hands the delivery to the next member that has room.
    pub(super) fn deliver(
        self: &Arc<Self>,
        mut delivery: Delivery,
        redelivery: &Arc<Redelivery>,
    ) -> Result<(), Refused> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let mut last =
            Error::new(ErrorKind::NotFound, "deliver message").with_context("reason", "no subscriber");
        for offset in 0..members.len() {
            let member = &members[(start.wrapping_add(offset)) % members.len()];
            if member.acknowledged {
                delivery = redelivery.watch(delivery, self);
            }
            match member.inbox.deliver(delivery) {
                Ok(()) => return Ok(()),
                Err(refused) => (delivery, last) = (*refused.delivery, refused.error),
            }
        }
        redelivery.count_refused(self.is_pool);
        Err(Refused::new(delivery, last))
    }
}

/// Ends a subscription at its drop.
struct Detach {
    tables: Weak<RwLock<Tables>>,
    target: SubscriptionTarget,
    group: Arc<Group>,
    inbox: Arc<dyn Inbox>,
}

impl Drop for Detach {
    fn drop(&mut self) {
        let Some(tables) = self.tables.upgrade() else { return };
        let mut tables = tables.write().unwrap_or_else(PoisonError::into_inner);
        let is_mine = |member: &Member| Arc::ptr_eq(&member.inbox, &self.inbox);
        self.group.members.write().unwrap_or_else(PoisonError::into_inner).retain(|member| !is_mine(member));
        tables.forget_if_empty(&self.target, &self.group);
    }
}
