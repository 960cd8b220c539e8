//! Inboxes that share the work: each message goes to one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::redelivery::Redelivery;
use crate::Result;
use crate::transport::{Delivery, Inbox, Refused};

/// A group among those of its pool or topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GroupName {
    Pool,
    Queue(Arc<str>),
    Alone(u64),
}

#[derive(Debug)]
pub(super) struct Group {
    name: GroupName,
    acknowledged: bool,
    /// Never empty.
    members: Vec<Member>,
    next: AtomicUsize,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) inbox: Arc<dyn Inbox>,
}

impl Group {
    pub(super) fn new(name: GroupName, acknowledged: bool, member: Member) -> Self {
        Self { name, acknowledged, members: vec![member], next: AtomicUsize::new(0) }
    }

    pub(super) fn with(&self, member: Member) -> Self {
        self.of(self.members.iter().cloned().chain([member]).collect())
    }

    /// `None` where nobody is left.
    pub(super) fn without(&self, id: u64) -> Option<Self> {
        let members: Vec<_> = self.members.iter().filter(|member| member.id != id).cloned().collect();
        (!members.is_empty()).then(|| self.of(members))
    }

    pub(super) fn name(&self) -> &GroupName {
        &self.name
    }

    pub(super) fn acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// A first delivery. A request is not watched: its requester waits and is told what became of it.
    pub(super) fn deliver(&self, delivery: Delivery, redelivery: &Arc<Redelivery>) -> Result<()> {
        if !self.acknowledged || delivery.wants_reply() {
            return self.offer(delivery).map_err(|refused| refused.error);
        }
        let (delivery, watched) = redelivery.watch(delivery, &self.name)?;
        self.offer(delivery).map_err(|refused| {
            redelivery.forget(watched);
            refused.error
        })
    }

    /// Hands the delivery to the next member that has room.
    pub(super) fn offer(&self, mut delivery: Delivery) -> Result<(), Refused> {
        if let [only] = self.members.as_slice() {
            return only.inbox.deliver(delivery);
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let mut tried = 0;
        loop {
            let member = &self.members[start.wrapping_add(tried) % self.members.len()];
            tried += 1;
            match member.inbox.deliver(delivery) {
                Err(refused) if tried < self.members.len() => delivery = *refused.delivery,
                done => return done,
            }
        }
    }

    fn of(&self, members: Vec<Member>) -> Self {
        let next = AtomicUsize::new(self.next.load(Ordering::Relaxed));
        Self { name: self.name.clone(), acknowledged: self.acknowledged, members, next }
    }
}
