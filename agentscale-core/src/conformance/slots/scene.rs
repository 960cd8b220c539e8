use std::sync::Arc;
use std::time::Duration;

use crate::slots::{Epoch, JoinRequest, LeaveRequest, SlotExchange, SlotGrant, SlotKey, SlotLine, SlotStore};
use crate::{Account, Result, Tenant};

pub(super) const TTL: Duration = Duration::from_secs(15);
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn key(account: &str) -> SlotKey {
    let account = Account::new(account).expect("names of the suite are valid");
    SlotKey::new(Tenant::new("acme").expect("names of the suite are valid"), Some(account))
}

pub(super) fn line(account: &str, limit: u32, used: u32, wanted: u32) -> SlotLine {
    SlotLine { key: key(account), limit, used, wanted }
}

/// One member, as an instance would be.
pub(super) struct Member {
    pub(super) store: Arc<dyn SlotStore>,
    pub(super) epoch: Epoch,
    pub(super) sequence: u64,
}

impl Member {
    pub(super) async fn join(store: &Arc<dyn SlotStore>) -> Self {
        let member = store.join(JoinRequest::new(TTL)).await.expect("a member joins");
        Self { store: Arc::clone(store), epoch: member.epoch, sequence: 0 }
    }

    pub(super) async fn try_exchange(&mut self, lines: Vec<SlotLine>) -> Result<Vec<SlotGrant>> {
        self.sequence += 1;
        let exchange = SlotExchange::new(self.epoch, self.sequence, TTL).with_lines(lines);
        Ok(self.store.exchange(exchange).await?.grants)
    }

    /// How many slots of alice it has then, and all members together.
    pub(super) async fn exchange(&mut self, limit: u32, used: u32, wanted: u32) -> (u32, u32) {
        let grants = self.try_exchange(vec![line("alice", limit, used, wanted)]).await;
        let grant = grants.expect("the store exchanges")[0];
        (grant.held, grant.all)
    }

    pub(super) async fn leave(&self) -> Result<()> {
        self.store.leave(LeaveRequest::new(self.epoch)).await
    }
}

/// How many slots of alice are held by anyone.
pub(super) async fn held(store: &Arc<dyn SlotStore>) -> u32 {
    store.held(&[key("alice")]).await.expect("the store is read")[0]
}
