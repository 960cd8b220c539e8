//! A budget ledger in the memory of one process.

mod balances;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::budget::{
    Balance, BudgetId, BudgetLedger, Day, Exchange, Exchanged, Held, Holder, JoinRequest, LeaveRequest,
    LedgerCapabilities, UsageCounts, UsageQuery, UsageRecord,
};
use agentscale_core::checkpoint::{Durability, Epoch};
use agentscale_core::{Account, Error, ErrorKind, Result, Tenant};
use async_trait::async_trait;

use balances::Balances;

/// Keeps budgets while its process lives, for tests and for hosts whose budgets may begin anew with each start.
///
/// Clones share it: several gateways of one process spend the same budgets. Budgets are forgotten
/// [35 days](BudgetId::KEPT_FOR) behind the end of their period; usage is kept.
#[derive(Clone, Debug, Default)]
pub struct InMemoryBudgetLedger {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    balances: Balances,
    holders: HashMap<Epoch, Grants>,
    /// Of whom, when, and of which model.
    usage: BTreeMap<(Payer, Day, String), UsageCounts>,
    joined: u64,
}

type Payer = (Option<Tenant>, Option<Account>);

#[derive(Debug)]
struct Grants {
    expires: u64,
    sequence: u64,
    held: HashMap<BudgetId, Held>,
}

impl InMemoryBudgetLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // No step panics half-way.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Dissolves holders whose lease has ended.
    fn expire(&mut self, now: u64) {
        let balances = &mut self.balances;
        self.holders.retain(|_, grants| {
            let lives = grants.expires > now;
            if !lives {
                for (budget, held) in grants.held.drain() {
                    balances.entry(&budget).forfeit(held);
                }
            }
            lives
        });
    }

    fn exchange(&mut self, exchange: Exchange) -> Result<Exchanged> {
        self.expire(exchange.now);
        let expires = exchange.expires();
        let grants = self.holders.get_mut(&exchange.epoch).ok_or_else(|| fenced("exchange"))?;
        if exchange.sequence < grants.sequence {
            return Err(Error::new(ErrorKind::Conflict, "exchange with the ledger")
                .with_context("sequence", exchange.sequence)
                .with_context("last", grants.sequence));
        }
        let is_new = exchange.sequence > grants.sequence;
        (grants.sequence, grants.expires) = (exchange.sequence, expires);
        let mut answer = Vec::with_capacity(exchange.lines.len());
        for line in exchange.lines {
            let balance = self.balances.entry(&line.budget);
            let held = grants.held.entry(line.budget.clone()).or_default();
            answer.push(balance.exchange(held, &line));
        }
        for record in exchange.usage.into_iter().filter(|_| is_new) {
            let key = ((record.tenant, record.account), record.day, record.model);
            self.usage.entry(key).or_default().add(&record.counts);
        }
        self.forget_old(exchange.now);
        Ok(Exchanged::new(answer))
    }

    fn forget_old(&mut self, now: u64) {
        for budget in self.balances.forget_old(now) {
            for grants in self.holders.values_mut() {
                grants.held.remove(&budget);
            }
        }
    }
}

#[async_trait]
impl BudgetLedger for InMemoryBudgetLedger {
    fn capabilities(&self) -> LedgerCapabilities {
        LedgerCapabilities::new(Durability::Volatile, false)
    }

    async fn join(&self, request: JoinRequest) -> Result<Holder> {
        let mut kept = self.kept();
        kept.expire(request.now);
        kept.forget_old(request.now);
        kept.joined += 1;
        let epoch = Epoch { incarnation: 0, counter: kept.joined };
        let grants = Grants { expires: request.expires(), sequence: 0, held: HashMap::new() };
        kept.holders.insert(epoch, grants);
        Ok(Holder::new(epoch))
    }

    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged> {
        exchange.check()?;
        self.kept().exchange(exchange)
    }

    async fn leave(&self, request: LeaveRequest) -> Result<()> {
        let mut kept = self.kept();
        kept.expire(request.now);
        let grants = kept.holders.remove(&request.epoch).ok_or_else(|| fenced("leave"))?;
        for (budget, held) in grants.held {
            kept.balances.entry(&budget).release(held);
        }
        Ok(())
    }

    async fn balances(&self, budgets: &[BudgetId], now: u64) -> Result<Vec<Balance>> {
        let mut kept = self.kept();
        kept.expire(now);
        Ok(budgets.iter().map(|budget| kept.balances.of(budget)).collect())
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        let kept = self.kept();
        let payer: Payer = (query.tenant().cloned(), query.account().cloned());
        let from = (payer.clone(), query.from(), String::new());
        let records =
            kept.usage.range(from..).take_while(|((of, day, _), _)| *of == payer && *day <= query.until());
        let is_behind = |day: Day, model: &str| query.behind().is_none_or(|behind| (day, model) > behind);
        let records = records.filter(|((_, day, model), _)| is_behind(*day, model)).take(query.limit());
        let record = |((of, day, model), counts): (&(Payer, Day, String), &UsageCounts)| {
            UsageRecord::new(of.0.clone(), of.1.clone(), model, *day).with_counts(*counts)
        };
        Ok(records.map(record).collect())
    }
}

fn fenced(operation: &'static str) -> Error {
    Error::new(ErrorKind::Fenced, operation).with_context("reason", "no holder of the ledger")
}
