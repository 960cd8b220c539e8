//! The ledger of what was used, and the end of the server: what the ledger does not write by then goes to the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agentscale::core::budget::{
    Balance, BudgetId, Exchange, Exchanged, Held, Holder, JoinRequest, LeaveRequest, LedgerCapabilities,
    UsageQuery, UsageRecord,
};
use agentscale::core::checkpoint::Epoch;
use agentscale::core::{BudgetLedger, Error, ErrorKind, Result};
use async_trait::async_trait;
use tokio::sync::watch;

/// A ledger that can be given up. Then nothing waits for it any more, and whatever it is told to write goes to the log.
#[derive(Clone, Debug)]
pub(crate) struct LoggedLedger {
    inner: Arc<dyn BudgetLedger>,
    given_up: Arc<watch::Sender<bool>>,
    logged: Arc<AtomicUsize>,
}

impl LoggedLedger {
    pub(crate) fn new(inner: Arc<dyn BudgetLedger>) -> Self {
        Self { inner, given_up: Arc::new(watch::Sender::new(false)), logged: Arc::default() }
    }

    pub(crate) fn give_up(&self) {
        self.given_up.send_replace(true);
    }

    /// How many records of usage went to the log.
    pub(crate) fn logged(&self) -> usize {
        self.logged.load(Ordering::Relaxed)
    }

    /// What the ledger answers, unless it was given up or is before that; `None` then.
    async fn answer<T>(&self, answer: impl Future<Output = Result<T>>) -> Option<Result<T>> {
        let mut given_up = self.given_up.subscribe();
        tokio::select! {
            biased;
            // An error says that nobody can give it up any more, and this one can.
            _ = given_up.wait_for(|given_up| *given_up) => None,
            answer = answer => Some(answer),
        }
    }

    fn log(&self, usage: &[UsageRecord]) {
        self.logged.fetch_add(usage.len(), Ordering::Relaxed);
        for record in usage {
            let counts = &record.counts;
            tracing::error!(
                tenant = record.tenant.as_ref().map(tracing::field::display),
                account = record.account.as_ref().map(tracing::field::display),
                model = record.model,
                day = %record.day,
                calls = counts.calls,
                input_tokens = counts.input_tokens,
                output_tokens = counts.output_tokens,
                cost = %counts.cost,
                cut_calls = counts.cut_calls,
                cut_tokens = counts.cut_tokens,
                cut_cost = %counts.cut_cost,
                "usage that may not stand in the ledger"
            );
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl BudgetLedger for LoggedLedger {
    fn capabilities(&self) -> LedgerCapabilities {
        self.inner.capabilities()
    }

    async fn join(&self, request: JoinRequest) -> Result<Holder> {
        let nobody = || Ok(Holder::new(Epoch::default()));
        self.answer(self.inner.join(request)).await.unwrap_or_else(nobody)
    }

    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged> {
        let (usage, lines) = (exchange.usage.clone(), exchange.lines.clone());
        self.answer(self.inner.exchange(exchange)).await.unwrap_or_else(|| {
            self.log(&usage);
            // Nobody spends of these any more.
            let grant = |line| Balance::default().exchange(&mut Held::default(), line);
            Ok(Exchanged::new(lines.iter().map(grant).collect()))
        })
    }

    async fn leave(&self, request: LeaveRequest) -> Result<()> {
        self.answer(self.inner.leave(request)).await.unwrap_or(Ok(()))
    }

    async fn balances(&self, budgets: &[BudgetId], now: u64) -> Result<Vec<Balance>> {
        self.answer(self.inner.balances(budgets, now)).await.unwrap_or_else(|| Err(given_up()))
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        self.answer(self.inner.usage(query)).await.unwrap_or_else(|| Err(given_up()))
    }
}

fn given_up() -> Error {
    Error::new(ErrorKind::Unavailable, "read the ledger").with_context("reason", "the server ends")
}
