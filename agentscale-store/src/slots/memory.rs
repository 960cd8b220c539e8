use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::checkpoint::Epoch;
use agentscale_core::lease::check_ttl;
use agentscale_core::slots::{
    JoinRequest, LeaveRequest, SlotExchange, SlotKey, SlotMember, SlotsExchanged, TURN_KEPT_FOR, fenced,
};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, Error, ErrorKind, Result, SlotStore};
use async_trait::async_trait;

use super::{Hold, exchange};

/// Counts slots while its process lives, for tests and for hosts of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct InMemorySlotStore {
    kept: Arc<Mutex<Kept>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Kept {
    joined: u64,
    members: BTreeMap<u64, Member>,
    accounts: HashMap<SlotKey, Vec<Hold>>,
}

#[derive(Debug)]
struct Member {
    expires: u64,
    seen: u64,
    sequence: u64,
}

impl InMemorySlotStore {
    /// A store without members.
    pub fn new() -> Self {
        Self { kept: Arc::default(), clock: Arc::new(SystemClock::new()) }
    }

    /// The clock by whose wall time leases end.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Without those whose lease has ended, and the time.
    fn kept(&self) -> (MutexGuard<'_, Kept>, u64) {
        // No step panics half-way.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.unix_micros();
        for member in kept.members.values_mut().filter(|member| member.seen > now) {
            // The clock stepped back: no lease has more than its full time to live.
            (member.expires, member.seen) = (now + member.expires - member.seen, now);
        }
        let ended: Vec<_> = kept
            .members
            .iter()
            .filter(|(_, member)| member.expires <= now)
            .map(|(member, _)| *member)
            .collect();
        ended.into_iter().for_each(|member| kept.remove(member));
        (kept, now)
    }
}

impl Kept {
    fn remove(&mut self, member: u64) {
        self.members.remove(&member);
        self.accounts.retain(|_, holds| {
            holds.retain(|hold| hold.member != member);
            !holds.is_empty()
        });
    }
}

impl Default for InMemorySlotStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SlotStore for InMemorySlotStore {
    async fn join(&self, request: JoinRequest) -> Result<SlotMember> {
        check_ttl(request.ttl)?;
        let (mut kept, now) = self.kept();
        kept.joined += 1;
        let counter = kept.joined;
        kept.members.insert(counter, Member { expires: now + micros(request.ttl), seen: now, sequence: 0 });
        Ok(SlotMember::new(Epoch { incarnation: 0, counter }))
    }

    async fn exchange(&self, asked: SlotExchange) -> Result<SlotsExchanged> {
        asked.check()?;
        let (mut kept, now) = self.kept();
        let Kept { members, accounts, .. } = &mut *kept;
        let counter = asked.epoch.counter;
        let known = members.get_mut(&counter).filter(|_| asked.epoch.incarnation == 0);
        let member = known.ok_or_else(|| fenced("exchange slots"))?;
        if asked.sequence <= member.sequence {
            return Err(older(asked.sequence, member.sequence));
        }
        *member = Member { expires: now + micros(asked.ttl), seen: now, sequence: asked.sequence };
        let kept_for = micros(TURN_KEPT_FOR);
        let is_heard = |member| {
            members.get(&member).is_some_and(|member: &Member| now.saturating_sub(member.seen) < kept_for)
        };
        let mut grants = Vec::with_capacity(asked.lines.len());
        for line in &asked.lines {
            let holds = accounts.entry(line.key.clone()).or_default();
            grants.push(exchange(holds, counter, line, now, is_heard));
            if holds.is_empty() {
                accounts.remove(&line.key);
            }
        }
        Ok(SlotsExchanged::new(grants))
    }

    async fn leave(&self, request: LeaveRequest) -> Result<()> {
        let (mut kept, _) = self.kept();
        let counter = request.epoch.counter;
        if request.epoch.incarnation != 0 || !kept.members.contains_key(&counter) {
            return Err(fenced("leave slots"));
        }
        kept.remove(counter);
        Ok(())
    }

    async fn held(&self, keys: &[SlotKey]) -> Result<Vec<u32>> {
        let (kept, _) = self.kept();
        let held = |holds: &Vec<Hold>| holds.iter().map(|hold| hold.held).sum();
        Ok(keys.iter().map(|key| kept.accounts.get(key).map_or(0, held)).collect())
    }
}

pub(crate) fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn older(sequence: u64, last: u64) -> Error {
    Error::new(ErrorKind::Conflict, "exchange slots")
        .with_context("sequence", sequence)
        .with_context("last", last)
}
