use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentscale_core::budget::{Amount, BudgetId, BudgetLimit, Grant, GrantLine, Money};

/// The grant that a gateway holds of one budget. Calls take from it and settle in it without asking anyone.
///
/// At all times what was granted is what was spent, what calls under way hold, and what there is room for.
#[derive(Debug)]
pub(crate) struct Purse {
    pub(crate) id: BudgetId,
    tokens: Part,
    money: Part,
    tally: Mutex<Tally>,
    /// Whether it knows what was spent of it since its gateway joined the ledger. There is no room in it before.
    is_read: AtomicBool,
}

/// Tokens or money.
#[derive(Debug)]
struct Part {
    /// [`UNLIMITED`], or less.
    limit: AtomicU64,
    /// Below zero by what was spent beyond the grant.
    room: AtomicI64,
    spent: AtomicU64,
    /// What was left for all when the ledger was last asked: a hint that saves asking again.
    left: AtomicU64,
}

/// What only the exchanges with the ledger use.
#[derive(Debug, Default)]
struct Tally {
    granted: Amount,
    /// What was spent by the last exchange.
    settled: Amount,
    /// What was wanted at once of late; it fades while nothing is.
    wanted: Amount,
}

/// A line of an exchange, and what the purse had been granted without what goes back with it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: GrantLine,
    kept: Amount,
}

const UNLIMITED: u64 = u64::MAX;

impl Purse {
    /// The purse of a budget of which the gateway has spent nothing since it joined the ledger.
    pub(crate) fn new(id: BudgetId, limit: BudgetLimit) -> Self {
        let (tokens, money, is_read) = (Part::new(), Part::new(), AtomicBool::new(true));
        let purse = Self { id, tokens, money, tally: Mutex::default(), is_read };
        purse.set_limit(limit);
        purse
    }

    /// The same of a budget of which it may have: the ledger, which counts sums, says how much.
    pub(crate) fn read_again(id: BudgetId, limit: BudgetLimit) -> Self {
        Self { is_read: AtomicBool::new(false), ..Self::new(id, limit) }
    }

    pub(crate) fn limit(&self) -> BudgetLimit {
        let mut limit = BudgetLimit::new();
        limit.tokens = self.tokens.limit();
        limit.money = self.money.limit().map(Money::from_nanos);
        limit
    }

    pub(crate) fn set_limit(&self, limit: BudgetLimit) {
        let parts = [(&self.tokens, limit.tokens), (&self.money, limit.money.map(Money::as_nanos))];
        for (part, limit) in parts {
            let limit = limit.map_or(UNLIMITED, |limit| limit.min(UNLIMITED - 1));
            if part.limit.swap(limit, Ordering::Relaxed) != limit {
                part.left.store(UNLIMITED, Ordering::Relaxed);
            }
        }
    }

    /// Takes `amount` of the grant, or nothing where there is no room for it.
    pub(crate) fn take(&self, amount: Amount) -> bool {
        if !self.is_read.load(Ordering::Acquire) || !self.tokens.take(amount.tokens) {
            return false;
        }
        if !self.money.take(amount.money.as_nanos()) {
            self.tokens.give_back(amount.tokens);
            return false;
        }
        true
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, taken: Amount) {
        self.tokens.give_back(taken.tokens);
        self.money.give_back(taken.money.as_nanos());
    }

    /// Books `used` in the place of what was taken.
    pub(crate) fn settle(&self, taken: Amount, used: Amount) {
        self.tokens.settle(taken.tokens, used.tokens);
        self.money.settle(taken.money.as_nanos(), used.money.as_nanos());
    }

    /// Whether `amount` is more than there was for anyone when the ledger was last asked.
    pub(crate) fn is_known_short_of(&self, amount: Amount) -> bool {
        self.tokens.is_known_short_of(amount.tokens) || self.money.is_known_short_of(amount.money.as_nanos())
    }

    /// Forgets what was left: others may have given back.
    pub(crate) fn look_again(&self) {
        for part in [&self.tokens, &self.money] {
            part.left.store(UNLIMITED, Ordering::Relaxed);
        }
    }

    /// What to ask the ledger for, so that there is room for `needed` now, and for as much as is spent in a while. What lies idle
    /// above that goes back. `None` where there is nothing to say.
    pub(crate) fn ask(&self, needed: Amount) -> Option<Asked> {
        if !self.is_read.load(Ordering::Acquire) {
            return Some(self.ask_what_was_spent());
        }
        let mut tally = self.tally();
        let spent = self.spent();
        let since = spent.saturating_sub(tally.settled);
        let faded =
            Amount::new(tally.wanted.tokens / 2, Money::from_nanos(tally.wanted.money.as_nanos() / 2));
        tally.wanted = faded.max(needed);
        let aim = twice(since.saturating_add(twice(tally.wanted)));
        let tokens = self.tokens.ask(tally.granted.tokens, spent.tokens, needed.tokens, aim.tokens);
        let money = self.money.ask(
            tally.granted.money.as_nanos(),
            spent.money.as_nanos(),
            needed.money.as_nanos(),
            aim.money.as_nanos(),
        );
        let amount = |tokens, money| Amount::new(tokens, Money::from_nanos(money));
        let kept = amount(tokens.kept, money.kept);
        let line = GrantLine {
            budget: self.id.clone(),
            limit: self.limit(),
            spent,
            least: amount(tokens.least, money.least),
            most: amount(tokens.most, money.most),
        };
        let is_same = spent == tally.settled && line.least == tally.granted && line.most == tally.granted;
        tally.settled = spent;
        (!is_same).then_some(Asked { line, kept })
    }

    /// A line that wants nothing: what was granted is what was spent.
    fn ask_what_was_spent(&self) -> Asked {
        let nothing = Amount::ZERO;
        let line = GrantLine {
            budget: self.id.clone(),
            limit: self.limit(),
            spent: nothing,
            least: nothing,
            most: nothing,
        };
        Asked { line, kept: nothing }
    }

    /// The last line: nothing is wanted any more, and what calls under way hold counts as spent.
    pub(crate) fn close(&self) -> Asked {
        let tally = self.tally();
        let tokens = self.tokens.close(tally.granted.tokens);
        let money = self.money.close(tally.granted.money.as_nanos());
        let spent = Amount::new(tokens, Money::from_nanos(money));
        let line =
            GrantLine { budget: self.id.clone(), limit: self.limit(), spent, least: spent, most: spent };
        Asked { line, kept: spent }
    }

    /// Takes in what the ledger answered.
    pub(crate) fn answer(&self, asked: &Asked, grant: &Grant) {
        let mut tally = self.tally();
        tally.granted = grant.granted;
        let mut kept = asked.kept;
        if !self.is_read.load(Ordering::Acquire) {
            self.tokens.spent.fetch_add(grant.granted.tokens, Ordering::Relaxed);
            self.money.spent.fetch_add(grant.granted.money.as_nanos(), Ordering::Relaxed);
            (tally.settled, kept) = (grant.granted, grant.granted);
        }
        self.tokens.answer(kept.tokens, grant.granted.tokens, grant.left.tokens);
        let left = if grant.left.money == Money::MAX { UNLIMITED } else { grant.left.money.as_nanos() };
        self.money.answer(kept.money.as_nanos(), grant.granted.money.as_nanos(), left);
        self.is_read.store(true, Ordering::Release);
    }

    /// Whether the ledger knows what was spent and nothing is held.
    pub(crate) fn is_settled(&self) -> bool {
        let tally = self.tally();
        tally.granted == self.spent() && tally.settled == tally.granted
    }

    fn spent(&self) -> Amount {
        let money = Money::from_nanos(self.money.spent.load(Ordering::Relaxed));
        Amount::new(self.tokens.spent.load(Ordering::Relaxed), money)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        // No step panics half-way.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a part keeps, needs and would like of its grant.
struct Wanted {
    kept: u64,
    least: u64,
    most: u64,
}

impl Part {
    fn new() -> Self {
        Self {
            limit: AtomicU64::new(UNLIMITED),
            room: AtomicI64::new(0),
            spent: AtomicU64::new(0),
            left: AtomicU64::new(UNLIMITED),
        }
    }

    fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit != UNLIMITED)
    }

    fn take(&self, amount: u64) -> bool {
        let amount = signed(amount);
        if amount == 0 {
            return true;
        }
        if self.limit().is_none() {
            self.room.fetch_sub(amount, Ordering::Relaxed);
            return true;
        }
        let less = |room: i64| (room >= amount).then(|| room - amount);
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, amount: u64) {
        self.room.fetch_add(signed(amount), Ordering::Relaxed);
    }

    fn settle(&self, taken: u64, used: u64) {
        self.spent.fetch_add(used, Ordering::Relaxed);
        self.room.fetch_add(signed(taken).saturating_sub(signed(used)), Ordering::Relaxed);
    }

    fn is_known_short_of(&self, amount: u64) -> bool {
        let room = u64::try_from(self.room.load(Ordering::Relaxed)).unwrap_or(0);
        self.limit().is_some() && amount > room.saturating_add(self.left.load(Ordering::Relaxed))
    }

    fn ask(&self, granted: u64, spent: u64, needed: u64, aim: u64) -> Wanted {
        if self.limit().is_none() {
            return Wanted { kept: granted, least: spent, most: spent };
        }
        let room = self.room.load(Ordering::Relaxed);
        // A little too much is left where it is.
        let idle = room.saturating_sub(signed(aim.saturating_mul(2)));
        if idle > 0 && needed == 0 {
            let kept = granted.saturating_sub(self.take_idle(signed(aim)));
            return Wanted { kept, least: kept, most: kept };
        }
        let lacking = |wanted: u64| u64::try_from(signed(wanted).saturating_sub(room)).unwrap_or(0);
        let least = granted.saturating_add(lacking(needed));
        let most = if room < signed(aim) / 2 || needed > 0 { lacking(aim) } else { 0 };
        Wanted { kept: granted, least, most: least.max(granted.saturating_add(most)) }
    }

    /// Takes the room above `aim` out.
    fn take_idle(&self, aim: i64) -> u64 {
        let keep = |room: i64| (room > aim).then_some(aim);
        let before = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, keep);
        before.map_or(0, |before| u64::try_from(before - aim).unwrap_or(0))
    }

    fn close(&self, granted: u64) -> u64 {
        if self.limit().is_none() {
            return self.spent.load(Ordering::Relaxed);
        }
        let room = u64::try_from(self.room.swap(0, Ordering::Relaxed)).unwrap_or(0);
        granted.saturating_sub(room).max(self.spent.load(Ordering::Relaxed))
    }

    fn answer(&self, kept: u64, granted: u64, left: u64) {
        self.room.fetch_add(signed(granted).saturating_sub(signed(kept)), Ordering::Relaxed);
        self.left.store(left, Ordering::Relaxed);
    }
}

fn twice(amount: Amount) -> Amount {
    amount.saturating_add(amount)
}

/// Amounts are far below 2^63; what is not stays at the largest.
fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
