use std::sync::{Arc, Weak};

use agentscale_core::budget::{BudgetLedger, Exchange, Exchanged, JoinRequest, LeaveRequest, UsageRecord};
use agentscale_core::checkpoint::Epoch;
use agentscale_core::time::Clock;
use agentscale_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::purse::{Asked, Purse};
use super::{BudgetConfig, Budgets};

/// Lines of one exchange, at most.
const LINES: usize = 1_024;

/// Speaks with the ledger, one exchange at a time.
#[derive(Debug)]
pub(super) struct Teller {
    ledger: Arc<dyn BudgetLedger>,
    clock: Arc<dyn Clock>,
    epoch: Option<Epoch>,
    sequence: u64,
    /// An exchange whose answer was lost. It is sent again as it was before there is another.
    unanswered: Option<Sent>,
    /// What could not be recorded.
    usage: Vec<UsageRecord>,
}

#[derive(Clone, Debug)]
struct Sent {
    exchange: Exchange,
    asked: Vec<(Arc<Purse>, Asked)>,
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Answered,
    /// The lease had ended: all grants are lost.
    Fenced,
}

impl Teller {
    pub(super) fn new(ledger: Arc<dyn BudgetLedger>, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, clock, epoch: None, sequence: 0, unanswered: None, usage: Vec::new() }
    }

    /// Sends again what was not answered.
    pub(super) async fn catch_up(&mut self, config: &BudgetConfig) -> Result<Told> {
        match self.unanswered.take() {
            Some(sent) => self.send(sent, config).await,
            None => Ok(Told::Answered),
        }
    }

    /// Keeps usage until it is recorded.
    pub(super) fn keep(&mut self, usage: Vec<UsageRecord>) {
        self.usage.extend(usage);
    }

    /// Settles what `ask` says of each of these purses, and records the usage that is kept.
    pub(super) async fn exchange(
        &mut self,
        purses: Vec<Arc<Purse>>,
        ask: impl Fn(&Purse) -> Option<Asked>,
        config: &BudgetConfig,
    ) -> Result<Told> {
        let mut purses = purses.into_iter();
        loop {
            // Who was asked is sent: first comes what can fail.
            let epoch = self.join(config).await?;
            let asking = purses.by_ref().filter_map(|purse| ask(&purse).map(|asked| (purse, asked)));
            let asked: Vec<_> = asking.take(LINES).collect();
            let is_last = asked.len() < LINES;
            let usage = self.usage.split_off(self.usage.len().saturating_sub(LINES));
            self.sequence += 1;
            let lines = asked.iter().map(|(_, asked)| asked.line.clone()).collect();
            let exchange = Exchange::new(epoch, self.sequence, self.clock.unix_micros(), config.lease());
            let exchange = exchange.with_lines(lines).with_usage(usage);
            let told = self.send(Sent { exchange, asked }, config).await?;
            if told == Told::Fenced || (is_last && self.usage.is_empty()) {
                return Ok(told);
            }
        }
    }

    /// Whether it holds anything, or keeps usage.
    pub(super) fn has_to_tell(&self) -> bool {
        self.epoch.is_some() || !self.usage.is_empty()
    }

    /// Gives everything back that is not spent.
    pub(super) async fn leave(&mut self, config: &BudgetConfig) -> Result<()> {
        let Some(epoch) = self.epoch.take() else { return Ok(()) };
        let request = LeaveRequest::new(epoch, self.clock.unix_micros());
        within(config, "leave the ledger", self.ledger.leave(request)).await
    }

    async fn join(&mut self, config: &BudgetConfig) -> Result<Epoch> {
        if let Some(epoch) = self.epoch {
            return Ok(epoch);
        }
        let request = JoinRequest::new(self.clock.unix_micros(), config.lease());
        let holder = within(config, "join the ledger", self.ledger.join(request)).await?;
        (self.epoch, self.sequence) = (Some(holder.epoch), 0);
        Ok(holder.epoch)
    }

    async fn send(&mut self, mut sent: Sent, config: &BudgetConfig) -> Result<Told> {
        sent.exchange.now = self.clock.unix_micros();
        // Whoever drops this future loses no answer: it is asked for again.
        self.unanswered = Some(sent.clone());
        let answer = self.ledger.exchange(sent.exchange.clone());
        match within(config, "exchange with the ledger", answer).await {
            Ok(Exchanged { grants, .. }) if grants.len() == sent.asked.len() => {
                for ((purse, asked), grant) in sent.asked.iter().zip(&grants) {
                    purse.answer(asked, grant);
                }
                self.unanswered = None;
                Ok(Told::Answered)
            }
            Err(error) if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Conflict) => {
                self.unanswered = None;
                self.epoch = None;
                self.usage.append(&mut sent.exchange.usage);
                Ok(Told::Fenced)
            }
            Ok(_) => Err(Error::new(ErrorKind::Internal, "exchange with the ledger")
                .with_context("reason", "not a grant for each line")),
            Err(error) => Err(error),
        }
    }
}

/// No ledger is waited for without end.
async fn within<T>(
    config: &BudgetConfig,
    operation: &'static str,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    match timeout(config.ledger_timeout(), answer).await {
        Ok(answer) => answer,
        Err(_) => {
            Err(Error::new(ErrorKind::Unavailable, operation).with_context("reason", "no answer in time"))
        }
    }
}

/// Settles every few seconds, and tops up whenever a call needs it, for as long as the gateway lives.
pub(super) async fn keep_settling(budgets: Weak<Budgets>, wake: Arc<Notify>) {
    let mut since = None;
    loop {
        let Some(every) = budgets.upgrade().map(|budgets| budgets.config().settle_every()) else { return };
        let now = tokio::time::Instant::now();
        let due = *since.get_or_insert(now) + every;
        // Whichever comes first; both only say when to look.
        drop(tokio::time::timeout_at(due, wake.notified()).await);
        let Some(budgets) = budgets.upgrade() else { return };
        if tokio::time::Instant::now() >= due {
            since = None;
            budgets.settle_all().await;
        }
        budgets.meet_needs().await;
    }
}
