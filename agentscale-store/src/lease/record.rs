use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::lease::{
    AcquireId, AcquireRequest, Epoch, Grant, Holding, LeaseHolder, LeaseInfo, LeaseNote, ReleaseRequest,
    RenewRequest, check_ttl, fenced, refused,
};

/// One lease, at wall times in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Of the last grant.
    pub(crate) epoch: Epoch,
    /// Of the last grant.
    pub(crate) id: Option<AcquireId>,
    pub(crate) held: Option<Held>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) holder: LeaseHolder,
    pub(crate) note: Option<LeaseNote>,
    pub(crate) since: u64,
    /// How long it lasts after a renewal.
    pub(crate) ttl: u64,
    pub(crate) until: u64,
}

impl Record {
    /// # Errors
    /// Those of [`LeaseStore::acquire`](agentscale_core::LeaseStore::acquire).
    pub(crate) fn acquire(&mut self, request: &AcquireRequest, now: u64) -> Result<Grant> {
        check_ttl(request.ttl)?;
        self.settle(now);
        let is_repeated = self.id == Some(request.id);
        match &self.held {
            Some(held) if is_repeated => Ok(self.grant(held.remaining(now))),
            Some(held) => Err(refused(&request.key, &held.holding(now))),
            None if is_repeated => Err(fenced("acquire lease", &request.key, self.epoch)),
            None => {
                let ttl = micros(request.ttl);
                self.epoch.counter += 1;
                self.id = Some(request.id);
                self.held = Some(Held {
                    holder: request.holder.clone(),
                    note: request.note.clone(),
                    since: now,
                    ttl,
                    until: now.saturating_add(ttl),
                });
                Ok(self.grant(request.ttl))
            }
        }
    }

    /// # Errors
    /// Those of [`LeaseStore::renew`](agentscale_core::LeaseStore::renew).
    pub(crate) fn renew(&mut self, request: &RenewRequest, now: u64) -> Result<Grant> {
        check_ttl(request.ttl)?;
        self.settle(now);
        let epoch = self.epoch;
        match &mut self.held {
            Some(held) if epoch == request.epoch => {
                held.ttl = micros(request.ttl);
                held.until = now.saturating_add(held.ttl);
                Ok(self.grant(request.ttl))
            }
            _ => Err(fenced("renew lease", &request.key, epoch)),
        }
    }

    /// # Errors
    /// Those of [`LeaseStore::release`](agentscale_core::LeaseStore::release).
    pub(crate) fn release(&mut self, request: &ReleaseRequest) -> Result<()> {
        if self.epoch != request.epoch {
            return Err(fenced("release lease", &request.key, self.epoch));
        }
        self.held = None;
        Ok(())
    }

    pub(crate) fn info(&self, now: u64) -> LeaseInfo {
        let held = self.held.as_ref().filter(|held| held.until > now);
        LeaseInfo::new(self.epoch, held.map(|held| held.holding(now)))
    }

    /// What the time has done: it ended the lease, or it stepped back and left more than there ever was.
    fn settle(&mut self, now: u64) {
        if let Some(held) = &mut self.held {
            held.until = held.until.min(now.saturating_add(held.ttl));
            if held.until <= now {
                self.held = None;
            }
        }
    }

    fn grant(&self, remaining: Duration) -> Grant {
        Grant::new(self.epoch, remaining)
    }
}

impl Held {
    fn remaining(&self, now: u64) -> Duration {
        Duration::from_micros(self.until.saturating_sub(now))
    }

    fn holding(&self, now: u64) -> Holding {
        Holding::new(self.holder.clone(), self.since, self.remaining(now)).with_note(self.note.clone())
    }
}

fn micros(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use agentscale_core::ErrorKind;
    use agentscale_core::lease::LeaseKey;

    use super::*;

    const TTL: Duration = Duration::from_secs(10);
    const HOUR: u64 = 3_600_000_000;

    fn request(holder: &str) -> AcquireRequest {
        let tenant = agentscale_core::Tenant::new("acme").unwrap();
        let key = LeaseKey::new(&tenant, "deployment", "a").unwrap();
        AcquireRequest::new(key, holder.try_into().unwrap(), TTL)
    }

    #[test]
    fn after_a_clock_stepped_back_a_lease_lasts_no_longer_than_its_time_from_the_first_question_on() {
        let mut record = Record::default();
        record.acquire(&request("alice"), 2 * HOUR).unwrap();
        let refused = record.acquire(&request("bob"), HOUR).unwrap_err();
        assert_eq!(refused.retry_after(), Some(TTL));
        record.acquire(&request("bob"), HOUR + micros(TTL)).unwrap();
    }

    #[test]
    fn what_was_found_ended_stays_ended_though_the_clock_step_back() {
        let mut record = Record::default();
        let alice = request("alice");
        let grant = record.acquire(&alice, HOUR).unwrap();
        let renewal = RenewRequest::new(alice.key.clone(), grant.epoch, TTL);
        assert_eq!(record.renew(&renewal, 2 * HOUR).unwrap_err().kind(), ErrorKind::Fenced);
        assert_eq!(record.renew(&renewal, HOUR).unwrap_err().kind(), ErrorKind::Fenced);
    }
}
