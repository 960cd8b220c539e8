use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::transport::{Subscription, SubscriptionTarget};
use crate::{Error, ErrorKind, Result};

/// A target and the name of a queue group.
type Group = (SubscriptionTarget, Option<String>);

/// The attachments of this process by their groups.
#[derive(Debug, Default)]
pub(super) struct Members(Mutex<HashMap<Group, Known>>);

#[derive(Debug)]
struct Known {
    acknowledged: bool,
    members: usize,
}

impl Members {
    /// Notes a member, until the membership is dropped.
    ///
    /// # Errors
    /// `conflict` for one that acknowledges otherwise than the others of its group.
    pub(super) fn join(self: &Arc<Self>, subscription: &Subscription) -> Result<Option<Membership>> {
        let group = (subscription.target.clone(), subscription.group.clone());
        if !matches!(group, (SubscriptionTarget::Pool(_), _) | (_, Some(_))) {
            return Ok(None);
        }
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let acknowledged = subscription.acknowledged;
        let known = groups.entry(group.clone()).or_insert(Known { acknowledged, members: 0 });
        if known.acknowledged != acknowledged {
            return Err(Error::new(ErrorKind::Conflict, "subscribe")
                .with_context("reason", "the others of the group acknowledge otherwise"));
        }
        known.members += 1;
        Ok(Some(Membership { all: self.clone(), group }))
    }
}

/// One member of a group.
#[derive(Debug)]
pub(super) struct Membership {
    all: Arc<Members>,
    group: Group,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut groups = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = groups.get_mut(&self.group) {
            known.members -= 1;
            if known.members == 0 {
                groups.remove(&self.group);
            }
        }
    }
}
