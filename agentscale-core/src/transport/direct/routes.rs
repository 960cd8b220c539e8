//! Who receives what. Groups are replaced, never changed, so that no lock is held while an inbox is called.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use hashbrown::HashMap;

use super::group::{Group, GroupName, Member};
use crate::transport::{Attachment, Inbox, Subscription, SubscriptionTarget};
use crate::{AgentMessage, AgentType, Destination, Error, ErrorKind, Result, Tenant, Topic};

#[derive(Debug, Default)]
pub(super) struct Routes {
    tables: RwLock<Tables>,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Tables {
    /// One group each.
    pools: HashMap<AgentType, Vec<Arc<Group>>>,
    topics: HashMap<(Tenant, Topic), Vec<Arc<Group>>>,
}

impl Routes {
    pub(super) fn pool(&self, agent_type: &AgentType) -> Option<Arc<Group>> {
        self.read().pools.get(agent_type)?.first().cloned()
    }

    pub(super) fn topic(&self, tenant: &Tenant, topic: &Topic) -> Vec<Arc<Group>> {
        self.read().topics.get(&(tenant.clone(), topic.clone())).cloned().unwrap_or_default()
    }

    /// The group in which a message was delivered before, if it has members still.
    pub(super) fn group(&self, message: &AgentMessage, name: &GroupName) -> Option<Arc<Group>> {
        match &message.to {
            Destination::Agent(address) => self.pool(&address.agent_type),
            Destination::Topic(topic) => {
                self.topic(&message.tenant, topic).into_iter().find(|group| group.name() == name)
            }
            Destination::Caller => None,
        }
    }

    pub(super) fn attach(
        self: &Arc<Self>,
        subscription: Subscription,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Attachment> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let Subscription { target, group, acknowledged } = subscription;
        let name = match (&target, group) {
            (SubscriptionTarget::Pool(_), _) => GroupName::Pool,
            (SubscriptionTarget::Topic(..), Some(queue)) => GroupName::Queue(queue.into()),
            (SubscriptionTarget::Topic(..), None) => GroupName::Alone(id),
        };
        let mut tables = self.write();
        let groups = tables.groups(&target);
        let member = Member { id, inbox };
        match groups.iter_mut().find(|group| group.name() == &name) {
            None => groups.push(Arc::new(Group::new(name.clone(), acknowledged, member))),
            Some(group) if group.acknowledged() == acknowledged => *group = Arc::new(group.with(member)),
            Some(_) => {
                return Err(Error::new(ErrorKind::Conflict, "attach subscription")
                    .with_context("reason", "the group's members differ in acknowledgement"));
            }
        }
        drop(tables);
        Ok(Attachment::new(Detach { routes: Arc::downgrade(self), target, name, id }))
    }

    fn detach(&self, target: &SubscriptionTarget, name: &GroupName, id: u64) {
        let mut tables = self.write();
        let groups = tables.groups(target);
        let Some(at) = groups.iter().position(|group| group.name() == name) else { return };
        // The old group goes after the lock: its inboxes' drops may call back into the transport.
        let _old = match groups[at].without(id) {
            Some(left) => std::mem::replace(&mut groups[at], Arc::new(left)),
            None => groups.remove(at),
        };
        if groups.is_empty() {
            tables.forget(target);
        }
        drop(tables);
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn groups(&mut self, target: &SubscriptionTarget) -> &mut Vec<Arc<Group>> {
        match target {
            SubscriptionTarget::Pool(agent_type) => self.pools.entry(agent_type.clone()).or_default(),
            SubscriptionTarget::Topic(tenant, topic) => {
                self.topics.entry((tenant.clone(), topic.clone())).or_default()
            }
        }
    }

    fn forget(&mut self, target: &SubscriptionTarget) {
        match target {
            SubscriptionTarget::Pool(agent_type) => self.pools.remove(agent_type),
            SubscriptionTarget::Topic(tenant, topic) => self.topics.remove(&(tenant.clone(), topic.clone())),
        };
    }
}

/// Ends a subscription at its drop.
struct Detach {
    routes: Weak<Routes>,
    target: SubscriptionTarget,
    name: GroupName,
    id: u64,
}

impl Drop for Detach {
    fn drop(&mut self) {
        if let Some(routes) = self.routes.upgrade() {
            routes.detach(&self.target, &self.name, self.id);
        }
    }
}
