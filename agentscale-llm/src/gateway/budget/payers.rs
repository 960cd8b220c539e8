use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use agentscale_core::budget::{BudgetId, UsageRecord};
use agentscale_core::{Account, Tenant};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::payer::Payer;
use super::purse::Purse;
use super::rule::Rules;

const SHARDS: usize = 16;

/// How long a purse stays behind the end of its period, in microseconds: the wall clock may go back a little.
const LATE: u64 = 3_600_000_000;

/// Who pays, found without a copy of any name, and the purses that they share.
#[derive(Debug)]
pub(crate) struct Payers {
    hasher: DefaultHashBuilder,
    shards: [RwLock<HashTable<Arc<Payer>>>; SHARDS],
    book: Mutex<Book>,
}

/// What is changed when a payer comes or goes. Whoever changes a shard holds it.
#[derive(Debug, Default)]
struct Book {
    rules: Rules,
    purses: HashMap<BudgetId, Arc<Purse>>,
    /// Whether a purse that lasts for good was let go: the next ones may have been used before.
    has_let_go: bool,
    /// Payers whose calls under way may still use something.
    gone: Vec<Arc<Payer>>,
}

impl Payers {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            shards: std::array::from_fn(|_| RwLock::new(HashTable::new())),
            book: Mutex::new(Book { rules, ..Book::default() }),
        }
    }

    pub(crate) fn find(
        &self,
        tenant: Option<&Tenant>,
        account: Option<&Account>,
        model: &str,
        now: u64,
    ) -> Arc<Payer> {
        let hash = self.hash(tenant, account, model);
        {
            let shard = self.shards[shard_of(hash)].read().unwrap_or_else(PoisonError::into_inner);
            if let Some(payer) = shard.find(hash, |payer| payer.is_of(tenant, account, model))
                && payer.holds_at(now)
            {
                return Arc::clone(payer);
            }
        }
        self.add(tenant, account, model, now)
    }

    fn add(&self, tenant: Option<&Tenant>, account: Option<&Account>, model: &str, now: u64) -> Arc<Payer> {
        let hash = self.hash(tenant, account, model);
        let mut book = self.book();
        let mut shard = self.shard(shard_of(hash));
        let found = shard.find_entry(hash, |payer| payer.is_of(tenant, account, model));
        match found {
            Ok(entry) if entry.get().holds_at(now) => return Arc::clone(entry.get()),
            Ok(entry) => book.gone.push(entry.remove().0),
            Err(_) => {}
        }
        let names = (tenant.cloned(), account.cloned(), model.to_owned());
        let rules = book.rules.of(&names.0, account, &names.2);
        let purses = rules.into_iter().map(|rule| {
            let id = BudgetId::at(rule.scope, rule.period, now);
            let new = if book.has_let_go && id.end().is_none() { Purse::read_again } else { Purse::new };
            let purse = || Arc::new(new(id.clone(), rule.limit));
            let purse = Arc::clone(book.purses.entry(id.clone()).or_insert_with(purse));
            purse.set_limit(rule.limit);
            purse
        });
        let payer = Arc::new(Payer::new(names, purses.collect(), now));
        shard.insert_unique(hash, Arc::clone(&payer), |payer| self.hash_of(payer));
        payer
    }

    /// Other budgets. Purses that keep their budget keep what they hold.
    pub(crate) fn set_rules(&self, rules: Rules) {
        let mut book = self.book();
        book.rules = rules;
        self.dismiss(&mut book, |_| true);
    }

    /// The grants are lost: whoever comes next begins with nothing. Calls under way end in what they took of.
    pub(crate) fn forget_grants(&self) {
        let mut book = self.book();
        book.purses.clear();
        book.has_let_go = false;
        self.dismiss(&mut book, |_| true);
    }

    /// All purses. Of those that nobody spends and that hold nothing, none is left whose period is long over or never is.
    pub(crate) fn purses(&self, now: u64) -> Vec<Arc<Purse>> {
        let mut book = self.book();
        let Book { purses, has_let_go, .. } = &mut *book;
        purses.retain(|id, purse| {
            let goes = id.end().is_none_or(|end| now > end.saturating_add(LATE))
                && Arc::strong_count(purse) == 1
                && purse.is_settled();
            *has_let_go |= goes && id.end().is_none();
            !goes
        });
        purses.values().cloned().collect()
    }

    /// What was used since this was last asked. Payers that nobody has called since then go.
    pub(crate) fn usage(&self, now: u64) -> Vec<UsageRecord> {
        let mut book = self.book();
        self.dismiss(&mut book, |payer| {
            let is_idle = !payer.was_called() && Arc::strong_count(payer) == 1;
            is_idle || !payer.holds_at(now)
        });
        let mut records = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            records.extend(shard.iter().filter_map(|payer| payer.usage()));
        }
        book.gone.retain(|payer| {
            // Counted before it is read: whoever ends in between is read.
            let is_last = Arc::strong_count(payer) == 1;
            records.extend(payer.usage());
            !is_last
        });
        records
    }

    fn dismiss(&self, book: &mut Book, goes: impl Fn(&Arc<Payer>) -> bool) {
        for place in 0..SHARDS {
            let mut shard = self.shard(place);
            book.gone.extend(shard.extract_if(|payer| goes(payer)));
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // No step panics half-way.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, place: usize) -> RwLockWriteGuard<'_, HashTable<Arc<Payer>>> {
        self.shards[place].write().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash_of(&self, payer: &Payer) -> u64 {
        self.hash(payer.tenant.as_ref(), payer.account.as_ref(), &payer.model)
    }

    fn hash(&self, tenant: Option<&Tenant>, account: Option<&Account>, model: &str) -> u64 {
        self.hasher.hash_one((tenant, account, model))
    }
}

fn shard_of(hash: u64) -> usize {
    // The table uses the lowest and the highest bits.
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use agentscale_core::budget::{Amount, Balance, BudgetLimit, BudgetPeriod, Held, Money};

    use super::*;
    use crate::gateway::Budget;

    fn tokens(tokens: u64) -> Amount {
        Amount::new(tokens, Money::ZERO)
    }

    #[test]
    fn a_purse_that_lasts_for_good_goes_when_it_is_idle_and_is_read_before_it_is_spent_again() {
        let each = Budget::for_each_tenant(BudgetPeriod::Forever, BudgetLimit::of_tokens(100));
        let payers = Payers::new(Rules::new(vec![each]).unwrap());
        let tenants: Vec<_> = (0..100).map(|name| Tenant::new(format!("t{name}")).unwrap()).collect();
        let pay = |tenant| payers.find(Some(tenant), None, "m", 0);
        tenants.iter().for_each(|tenant| drop(pay(tenant)));
        let busy = pay(&tenants[0]);
        payers.usage(0);
        assert_eq!(payers.purses(0).len(), 100, "they were called");
        payers.usage(0);
        assert_eq!(payers.purses(0).len(), 1, "nobody spends the others");

        assert!(Arc::ptr_eq(&busy, &pay(&tenants[0])));
        let purse = Arc::clone(&pay(&tenants[1]).purses[0]);
        assert!(!purse.take(Amount::ZERO), "nobody knows yet what was spent of it");
        let asked = purse.ask(tokens(10)).unwrap();
        assert_eq!((asked.line.spent, asked.line.most), (Amount::ZERO, Amount::ZERO));
        let mut balance = Balance { spent: tokens(40), ..Balance::default() };
        let mut held = Held { granted: tokens(40), spent: tokens(40) };
        purse.answer(&asked, &balance.exchange(&mut held, &asked.line));
        assert!(!purse.take(tokens(1)), "all that was granted is spent");
        let asked = purse.ask(tokens(10)).unwrap();
        assert_eq!((asked.line.spent, asked.line.least), (tokens(40), tokens(50)));
        purse.answer(&asked, &balance.exchange(&mut held, &asked.line));
        let more = held.granted.tokens - 40;
        assert!(more >= 10 && purse.take(tokens(more)) && !purse.take(tokens(1)));
    }
}
