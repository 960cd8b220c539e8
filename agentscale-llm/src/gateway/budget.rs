//! Budgets: what calls may cost, reserved before they are sent and settled when they have ended.

mod bound;
mod config;
mod hold;
mod need;
mod payer;
mod payers;
mod purse;
mod rule;
mod teller;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use agentscale_core::budget::{Amount, BudgetLedger, Money};
use agentscale_core::time::Clock;
use agentscale_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

pub(crate) use bound::Bound;
pub use config::BudgetConfig;
pub(crate) use hold::Hold;
pub(crate) use need::Charge;
pub use rule::Budget;
pub(crate) use rule::Rules;

use need::Need;
use payer::Payer;
use payers::Payers;
use purse::Purse;
use teller::{Teller, Told, keep_settling};

use super::route::Route;
use super::telemetry::BudgetMetrics;

/// The budgets of a gateway, and the grants that it holds of them.
#[derive(Debug)]
pub(crate) struct Budgets {
    clock: Arc<dyn Clock>,
    payers: Payers,
    config: Mutex<BudgetConfig>,
    metrics: Mutex<BudgetMetrics>,
    teller: tokio::sync::Mutex<Teller>,
    needs: Mutex<Vec<Need>>,
    wake: Arc<Notify>,
    /// Runs from the first call on.
    task: Mutex<Option<AbortHandle>>,
    runs: Arc<AtomicBool>,
    closed: AtomicBool,
}

/// Exchanges in a row, before what is due is looked at.
const MAX_ROUNDS: u32 = 16;

impl Budgets {
    pub(crate) fn new(
        ledger: Arc<dyn BudgetLedger>,
        clock: Arc<dyn Clock>,
        (rules, config, metrics): (Rules, BudgetConfig, BudgetMetrics),
    ) -> Self {
        Self {
            payers: Payers::new(rules),
            config: Mutex::new(config),
            metrics: Mutex::new(metrics),
            teller: tokio::sync::Mutex::new(Teller::new(ledger, Arc::clone(&clock))),
            clock,
            needs: Mutex::default(),
            wake: Arc::default(),
            task: Mutex::default(),
            runs: Arc::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Other budgets from now on. What is held stays with the budgets that stay.
    pub(crate) fn set_up_anew(&self, rules: Rules, config: BudgetConfig, metrics: BudgetMetrics) {
        *lock(&self.config) = config;
        *lock(&self.metrics) = metrics;
        self.payers.set_rules(rules);
    }

    /// Takes the most that a call over `route` can cost out of each of its budgets, or of none: at once where the grants have
    /// room, else when the ledger has granted more.
    pub(crate) async fn hold(self: &Arc<Self>, charge: &Charge, route: &Route) -> Result<Hold> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(unavailable().with_context("reason", "closed"));
        }
        self.keep_settling();
        let payer = self.payer(charge, &route.model);
        let amount = amount_of(charge, route, &payer).inspect_err(|error| self.refused(error))?;
        match payer.take(amount) {
            Ok(()) => Ok(Hold::new(Arc::clone(&payer), amount, charge.bound, charge.retention)),
            Err(purse) if purse.is_known_short_of(amount) => Err(self.exceeded(purse)),
            Err(_) => self.ask_for(charge, &route.model, amount).await,
        }
    }

    /// The same where the grants have room, and else nothing: for an attempt that is not worth waiting for.
    pub(crate) fn hold_now(&self, charge: &Charge, route: &Route) -> Option<Hold> {
        let payer = self.payer(charge, &route.model);
        let amount = amount_of(charge, route, &payer).ok()?;
        let taken = !self.closed.load(Ordering::Relaxed) && payer.take(amount).is_ok();
        taken.then(|| Hold::new(payer, amount, charge.bound, charge.retention))
    }

    /// Settles what was spent, gives back the rest and refuses what comes later. What calls under way hold counts as spent.
    pub(crate) async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Relaxed);
        let config = self.config();
        let mut teller = self.teller.lock().await;
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
        lock(&self.needs).clear();
        if teller.catch_up(&config).await? == Told::Fenced {
            self.payers.forget_grants();
        }
        let now = self.clock.unix_micros();
        teller.keep(self.payers.usage(now));
        if teller.has_to_tell()
            && teller.exchange(self.payers.purses(now), |purse| Some(purse.close()), &config).await?
                == Told::Fenced
        {
            // The grants are lost, and what was used is told by another holder.
            self.payers.forget_grants();
            teller.exchange(Vec::new(), |_| None, &config).await?;
        }
        teller.leave(&config).await
    }

    fn config(&self) -> BudgetConfig {
        lock(&self.config).clone()
    }

    fn payer(&self, charge: &Charge, model: &str) -> Arc<Payer> {
        let now = self.clock.unix_micros();
        self.payers.find(charge.tenant.as_ref(), charge.account.as_ref(), model, now)
    }

    async fn ask_for(&self, charge: &Charge, model: &str, amount: Amount) -> Result<Hold> {
        let (reply, answer) = oneshot::channel();
        let need = Need { charge: charge.clone(), model: model.to_owned(), amount, reply };
        lock(&self.needs).push(need);
        self.wake.notify_one();
        if self.closed.load(Ordering::Relaxed) {
            // Whoever closes looks for those who wait once: this one may have come behind that.
            lock(&self.needs).clear();
        }
        let held = answer.await.unwrap_or_else(|_| Err(unavailable().with_context("reason", "closed")));
        held.inspect_err(|error| self.refused(error))
    }

    /// Asks the ledger for those who wait, until each has its answer.
    async fn meet_needs(&self) {
        let mut teller = self.teller.lock().await;
        for _ in 0..MAX_ROUNDS {
            let mut needs = std::mem::take(&mut *lock(&self.needs));
            needs.retain(|need| !need.reply.is_closed());
            if needs.is_empty() {
                return;
            }
            if let Err(error) = self.top_up(&mut teller, &needs).await {
                lock(&self.metrics).failed(&error);
                for need in needs {
                    // Who has gone away needs no answer.
                    drop(need.reply.send(Err(unavailable().with_source(error.clone()))));
                }
                return;
            }
            for need in needs {
                self.meet(need);
            }
        }
        // Others were faster each time: they wait for the next exchange.
        self.wake.notify_one();
    }

    /// Gives a call what it needs, or tells it that there is not as much; where another one was faster, it waits on.
    fn meet(&self, need: Need) {
        let payer = self.payer(&need.charge, &need.model);
        let answer = match payer.take(need.amount) {
            Ok(()) => {
                let Charge { bound, retention, .. } = need.charge;
                Ok(Hold::new(Arc::clone(&payer), need.amount, bound, retention))
            }
            Err(purse) if purse.is_known_short_of(need.amount) => Err(exceeded(purse, &*self.clock)),
            Err(_) => return lock(&self.needs).push(need),
        };
        // Who has gone away gives back what it got by dropping it.
        drop(need.reply.send(answer));
    }

    /// One exchange for all that these need.
    async fn top_up(&self, teller: &mut Teller, needs: &[Need]) -> Result<()> {
        let config = self.config();
        if teller.catch_up(&config).await? == Told::Fenced {
            self.forfeited();
        }
        let mut needed = HashMap::new();
        for need in needs {
            for purse in &self.payer(&need.charge, &need.model).purses {
                let (_, sum) = needed
                    .entry(Arc::as_ptr(purse).addr())
                    .or_insert_with(|| (Arc::clone(purse), Amount::ZERO));
                *sum = sum.saturating_add(need.amount);
            }
        }
        let purses = needed.values().map(|(purse, _)| Arc::clone(purse)).collect();
        let amount = |purse: &Purse| {
            needed.get(&std::ptr::from_ref(purse).addr()).map_or(Amount::ZERO, |(_, sum)| *sum)
        };
        let start = self.clock.now();
        let told = teller.exchange(purses, |purse| purse.ask(amount(purse)), &config).await?;
        lock(&self.metrics).exchanged(self.clock.now().since(start));
        if told == Told::Fenced {
            self.forfeited();
        }
        Ok(())
    }

    /// Tells the ledger what was spent and used, and brings the grants to what is needed.
    async fn settle_all(&self) {
        let config = self.config();
        let mut teller = self.teller.lock().await;
        match teller.catch_up(&config).await {
            Ok(Told::Answered) => {}
            Ok(Told::Fenced) => self.forfeited(),
            // It is tried again with the next one, and tells nothing new.
            Err(error) => return lock(&self.metrics).failed(&error),
        }
        let now = self.clock.unix_micros();
        teller.keep(self.payers.usage(now));
        if !teller.has_to_tell() {
            return;
        }
        let purses = self.payers.purses(now);
        purses.iter().for_each(|purse| purse.look_again());
        let start = self.clock.now();
        match teller.exchange(purses, |purse| purse.ask(Amount::ZERO), &config).await {
            Ok(Told::Answered) => lock(&self.metrics).exchanged(self.clock.now().since(start)),
            Ok(Told::Fenced) => self.forfeited(),
            Err(error) => lock(&self.metrics).failed(&error),
        }
    }

    fn forfeited(&self) {
        self.payers.forget_grants();
        lock(&self.metrics).forfeited();
    }

    fn exceeded(&self, purse: &Purse) -> Error {
        let error = exceeded(purse, &*self.clock);
        self.refused(&error);
        error
    }

    fn refused(&self, error: &Error) {
        lock(&self.metrics).refused(error);
    }

    /// Starts the task that settles, unless it runs.
    fn keep_settling(self: &Arc<Self>) {
        if self.runs.load(Ordering::Relaxed) || self.runs.swap(true, Ordering::Relaxed) {
            return;
        }
        // Should its runtime end, the next call starts it on its own.
        let stops = Stops { runs: Arc::clone(&self.runs), budgets: Arc::downgrade(self) };
        let settling = keep_settling(Arc::downgrade(self), Arc::clone(&self.wake));
        let settling = async move {
            let _stops = stops;
            settling.await;
        };
        let mut task = lock(&self.task);
        // Whoever closes takes the task out behind that word: it sees this one, or this sees the word.
        if !self.closed.load(Ordering::Relaxed) {
            *task = Some(tokio::spawn(settling).abort_handle());
        }
    }
}

impl Drop for Budgets {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

/// The end of the task, however it comes: nobody waits for it then.
struct Stops {
    runs: Arc<AtomicBool>,
    budgets: Weak<Budgets>,
}

impl Drop for Stops {
    fn drop(&mut self) {
        self.runs.store(false, Ordering::Relaxed);
        if let Some(budgets) = self.budgets.upgrade() {
            lock(&budgets.needs).clear();
        }
    }
}

/// The most that a call can cost wherever the route leads it.
fn amount_of(charge: &Charge, route: &Route, payer: &Payer) -> Result<Amount> {
    let mut money = Money::ZERO;
    for target in &route.targets {
        match target.price {
            Some(price) => money = money.max(price.most(charge.bound.input, charge.bound.output)),
            None if payer.must_know_prices() => {
                return Err(Error::new(ErrorKind::Unsupported, "reserve in a budget of money")
                    .with_context("model", target.model.escape_debug())
                    .with_context("reason", "the model has no price"));
            }
            None => {}
        }
    }
    Ok(Amount::new(charge.bound.tokens(), money))
}

fn exceeded(purse: &Purse, clock: &dyn Clock) -> Error {
    let error = Error::new(ErrorKind::BudgetExceeded, "reserve in a budget")
        .with_context("budget", &purse.id.scope)
        .with_context("period", purse.id.period);
    match purse.id.end() {
        Some(end) => error.with_retry_after(Duration::from_micros(end.saturating_sub(clock.unix_micros()))),
        None => error,
    }
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "reserve in a budget")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use agentscale_core::metrics::Metrics;
    use agentscale_core::time::SystemClock;

    use super::*;
    use crate::budget::InMemoryBudgetLedger;

    #[tokio::test]
    async fn a_call_that_was_let_in_before_the_close_starts_nothing_behind_it() {
        let metrics = BudgetMetrics::new(&Metrics::new()).unwrap();
        let setup = (Rules::default(), BudgetConfig::default(), metrics);
        let ledger = Arc::new(InMemoryBudgetLedger::new());
        let budgets = Arc::new(Budgets::new(ledger, Arc::new(SystemClock::new()), setup));
        budgets.close().await.unwrap();
        budgets.keep_settling();
        assert!(lock(&budgets.task).is_none());
    }
}
