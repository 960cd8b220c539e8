use std::collections::{BTreeMap, BTreeSet, HashMap};

use agentscale_core::Tenant;
use agentscale_core::time::Monotonic;

use super::Waiting;

/// The calls of one class, fairly between tenants.
///
/// It is start-time fair queueing (Goyal, Vin, Cheng 1996): a tenant's tag grows by the tokens that it was given over its
/// weight; the lowest tag goes next; who was away comes back at the tag of those who were not.
#[derive(Debug)]
pub(super) struct Class<T> {
    shares: HashMap<Option<Tenant>, Share<T>>,
    /// The tenants that wait, by their tags.
    order: BTreeSet<(u64, Option<Tenant>)>,
    /// The tenants that do not wait and are ahead of the class.
    away: BTreeSet<(u64, Option<Tenant>)>,
    /// All calls, the oldest first.
    ages: BTreeMap<u64, Place>,
    /// The tag of the last that went.
    tag: u64,
    tokens: u64,
}

#[derive(Debug)]
struct Share<T> {
    tag: u64,
    tokens: u64,
    /// By deadline, then by age.
    waiting: BTreeMap<(u64, u64), Waiting<T>>,
}

/// Since when a call waits, and where.
#[derive(Debug)]
struct Place {
    since: Monotonic,
    tenant: Option<Tenant>,
    deadline: u64,
}

/// One token of a tenant of weight one, so that weights divide it.
const TAG_UNIT: u64 = 1 << 10;

impl<T> Default for Class<T> {
    fn default() -> Self {
        Self {
            shares: HashMap::new(),
            order: BTreeSet::new(),
            away: BTreeSet::new(),
            ages: BTreeMap::new(),
            tag: 0,
            tokens: 0,
        }
    }
}

impl<T> Class<T> {
    pub(super) fn push(&mut self, number: u64, waiting: Waiting<T>, now: Monotonic) {
        let deadline = waiting.deadline.map_or(u64::MAX, Monotonic::as_nanos);
        let tenant = waiting.tenant.clone();
        let share = self.shares.entry(tenant.clone()).or_insert_with(|| Share::at(self.tag));
        if share.waiting.is_empty() {
            self.away.remove(&(share.tag, tenant.clone()));
            share.tag = share.tag.max(self.tag);
            self.order.insert((share.tag, tenant.clone()));
        }
        share.tokens += waiting.tokens;
        self.tokens += waiting.tokens;
        share.waiting.insert((deadline, number), waiting);
        self.ages.insert(number, Place { since: now, tenant, deadline });
    }

    pub(super) fn get(&self, number: u64) -> Option<&Waiting<T>> {
        let Place { tenant, deadline, .. } = self.ages.get(&number)?;
        self.shares.get(tenant)?.waiting.get(&(*deadline, number))
    }

    /// Takes out a call that is given its tokens.
    pub(super) fn go(&mut self, number: u64) -> Option<Waiting<T>> {
        self.take(number, |waiting| {
            waiting.tokens.saturating_mul(TAG_UNIT) / u64::from(waiting.weight.max(1))
        })
    }

    /// Takes out a call that is given nothing.
    pub(super) fn remove(&mut self, number: u64) -> Option<Waiting<T>> {
        self.take(number, |_| 0)
    }

    /// The first call of the tenant with the lowest tag.
    pub(super) fn first(&self) -> Option<u64> {
        let (_, tenant) = self.order.first()?;
        let ((_, number), _) = self.shares.get(tenant)?.waiting.first_key_value()?;
        Some(*number)
    }

    /// The call that waits for longest, and since when.
    pub(super) fn oldest(&self) -> Option<(u64, Monotonic)> {
        self.ages.first_key_value().map(|(number, place)| (*number, place.since))
    }

    /// The call that came last.
    pub(super) fn last(&self) -> Option<u64> {
        self.ages.last_key_value().map(|(number, _)| *number)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ages.is_empty()
    }

    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// What goes before a new call of `tenant`: of each tenant as much as its own has waiting, and what there is at
    /// most.
    pub(super) fn tokens_ahead(&self, tenant: Option<&Tenant>) -> u64 {
        let own = self.shares.get(&tenant.cloned()).map_or(0, |share| share.tokens);
        let tenants = self.order.len() as u64;
        self.tokens.min(own.saturating_mul(tenants.max(1)))
    }

    fn take(&mut self, number: u64, given: impl FnOnce(&Waiting<T>) -> u64) -> Option<Waiting<T>> {
        let Place { tenant, deadline, .. } = self.ages.remove(&number)?;
        let share = self.shares.get_mut(&tenant)?;
        let waiting = share.waiting.remove(&(deadline, number))?;
        share.tokens -= waiting.tokens;
        self.tokens -= waiting.tokens;
        self.order.remove(&(share.tag, tenant.clone()));
        let given = given(&waiting);
        if given > 0 {
            self.tag = self.tag.max(share.tag);
            share.tag = share.tag.saturating_add(given);
        }
        let kept = if share.waiting.is_empty() { &mut self.away } else { &mut self.order };
        kept.insert((share.tag, tenant));
        self.forget_those_behind();
        Some(waiting)
    }

    /// Who is away and no more ahead of the class comes back as anyone new.
    fn forget_those_behind(&mut self) {
        while let Some((tag, _)) = self.away.first()
            && *tag <= self.tag
        {
            if let Some((_, tenant)) = self.away.pop_first() {
                self.shares.remove(&tenant);
            }
        }
    }
}

impl<T> Share<T> {
    fn at(tag: u64) -> Self {
        Self { tag, tokens: 0, waiting: BTreeMap::new() }
    }
}
