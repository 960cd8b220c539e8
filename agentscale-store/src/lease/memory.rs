use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::lease::{AcquireRequest, Grant, LeaseInfo, LeaseKey, ReleaseRequest, RenewRequest};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, LeaseStore, Result};
use async_trait::async_trait;

use super::Record;

/// Keeps leases while its process lives, for tests and for hosts of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct InMemoryLeaseStore {
    leases: Arc<Mutex<BTreeMap<LeaseKey, Record>>>,
    clock: Arc<dyn Clock>,
}

impl InMemoryLeaseStore {
    /// A store without leases.
    pub fn new() -> Self {
        Self { leases: Arc::default(), clock: Arc::new(SystemClock::new()) }
    }

    /// The clock by whose wall time leases end.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn leases(&self) -> MutexGuard<'_, BTreeMap<LeaseKey, Record>> {
        // Nothing under the lock panics half way through a change.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does it to the record of a lease; one that was never granted leaves nothing behind.
    fn with<T>(&self, key: &LeaseKey, act: impl FnOnce(&mut Record, u64) -> Result<T>) -> Result<T> {
        let mut leases = self.leases();
        let mut record = leases.get(key).cloned().unwrap_or_default();
        let answer = act(&mut record, self.clock.unix_micros());
        if record != Record::default() {
            leases.insert(key.clone(), record);
        }
        answer
    }
}

impl Default for InMemoryLeaseStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl LeaseStore for InMemoryLeaseStore {
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
        self.with(&request.key, |record, now| record.acquire(&request, now))
    }

    async fn renew(&self, request: RenewRequest) -> Result<Grant> {
        self.with(&request.key, |record, now| record.renew(&request, now))
    }

    async fn release(&self, request: ReleaseRequest) -> Result<()> {
        self.with(&request.key, |record, _| record.release(&request))
    }

    async fn read(&self, key: &LeaseKey) -> Result<LeaseInfo> {
        let leases = self.leases();
        // Read under the lock: no grant is newer than this time.
        let now = self.clock.unix_micros();
        Ok(leases.get(key).map(|record| record.info(now)).unwrap_or_default())
    }
}
