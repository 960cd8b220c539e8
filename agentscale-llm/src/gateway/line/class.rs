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
    /// All calls, in the order in which they came.
    places: BTreeMap<u64, Place>,
    /// The tenants that wait, by the time since which they have had no turn.
    turns: BTreeSet<(Monotonic, Option<Tenant>)>,
    /// The tag of the last that went.
    tag: u64,
    tokens: u64,
}

#[derive(Debug)]
struct Share<T> {
    tag: u64,
    tokens: u64,
    /// When it had its last turn, or came.
    turn: Monotonic,
    /// By deadline, then by age.
    waiting: BTreeMap<(u64, u64), Waiting<T>>,
}

/// Where a call waits.
#[derive(Debug)]
struct Place {
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
            places: BTreeMap::new(),
            turns: BTreeSet::new(),
            tag: 0,
            tokens: 0,
        }
    }
}

impl<T> Class<T> {
    pub(super) fn push(&mut self, number: u64, waiting: Waiting<T>, now: Monotonic) {
        let deadline = waiting.deadline.map_or(u64::MAX, Monotonic::as_nanos);
        let tenant = waiting.tenant.clone();
        let share = self.shares.entry(tenant.clone()).or_insert_with(|| Share::at(self.tag, now));
        if share.waiting.is_empty() {
            self.away.remove(&(share.tag, tenant.clone()));
            share.tag = share.tag.max(self.tag);
            self.order.insert((share.tag, tenant.clone()));
            share.turn = now;
            self.turns.insert((now, tenant.clone()));
        }
        share.tokens += waiting.tokens;
        self.tokens += waiting.tokens;
        share.waiting.insert((deadline, number), waiting);
        self.places.insert(number, Place { tenant, deadline });
    }

    pub(super) fn get(&self, number: u64) -> Option<&Waiting<T>> {
        let Place { tenant, deadline, .. } = self.places.get(&number)?;
        self.shares.get(tenant)?.waiting.get(&(*deadline, number))
    }

    /// Takes out a call that is given its tokens.
    pub(super) fn go(&mut self, number: u64, now: Monotonic) -> Option<Waiting<T>> {
        self.take(number, Some(now), |waiting| {
            // A turn that takes no tokens is a turn too.
            (waiting.tokens.max(1).saturating_mul(TAG_UNIT) / u64::from(waiting.weight.max(1))).max(1)
        })
    }

    /// Takes out a call that is given nothing.
    pub(super) fn remove(&mut self, number: u64) -> Option<Waiting<T>> {
        self.take(number, None, |_| 0)
    }

    /// The first call of the tenant with the lowest tag.
    pub(super) fn first(&self) -> Option<u64> {
        let (_, tenant) = self.order.first()?;
        let ((_, number), _) = self.shares.get(tenant)?.waiting.first_key_value()?;
        Some(*number)
    }

    /// The first call of the tenant that has had no turn for longest, and since when.
    ///
    /// Who has its turns is not served late, however long each of its many calls waits.
    pub(super) fn longest_without_turn(&self) -> Option<(u64, Monotonic)> {
        let (since, tenant) = self.turns.first()?;
        let ((_, number), _) = self.shares.get(tenant)?.waiting.first_key_value()?;
        Some((*number, *since))
    }

    /// The call that came last.
    pub(super) fn last(&self) -> Option<u64> {
        self.places.last_key_value().map(|(number, _)| *number)
    }

    /// The tokens that a tenant has waiting.
    pub(super) fn tokens_of(&self, tenant: Option<&Tenant>) -> u64 {
        self.shares.get(&tenant.cloned()).map_or(0, |share| share.tokens)
    }

    /// The call that would go last of the tenant that has the most tokens waiting, and how many.
    pub(super) fn last_of_the_most(&self) -> Option<(u64, u64)> {
        let most = self.shares.values().max_by_key(|share| share.tokens)?;
        most.waiting.last_key_value().map(|((_, number), _)| (most.tokens, *number))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// What goes before a new call of `tenant`: of each tenant as much as its own has waiting, and what there is at
    /// most.
    pub(super) fn tokens_ahead(&self, tenant: Option<&Tenant>) -> u64 {
        let own = self.tokens_of(tenant);
        let tenants = self.order.len() as u64;
        self.tokens.min(own.saturating_mul(tenants.max(1)))
    }

    /// Takes out a call; where that is its tenant's turn, `turn` is the time.
    fn take(
        &mut self,
        number: u64,
        turn: Option<Monotonic>,
        given: impl FnOnce(&Waiting<T>) -> u64,
    ) -> Option<Waiting<T>> {
        let Place { tenant, deadline, .. } = self.places.remove(&number)?;
        let share = self.shares.get_mut(&tenant)?;
        let waiting = share.waiting.remove(&(deadline, number))?;
        share.tokens -= waiting.tokens;
        self.tokens -= waiting.tokens;
        self.order.remove(&(share.tag, tenant.clone()));
        self.turns.remove(&(share.turn, tenant.clone()));
        share.turn = turn.unwrap_or(share.turn);
        if !share.waiting.is_empty() {
            self.turns.insert((share.turn, tenant.clone()));
        }
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
    fn at(tag: u64, turn: Monotonic) -> Self {
        Self { tag, tokens: 0, turn, waiting: BTreeMap::new() }
    }
}
