use std::time::Duration;

use super::{Amount, BudgetId, BudgetLimit, UsageRecord};
use crate::checkpoint::Epoch;
use crate::{Error, ErrorKind, Result};

/// Asks to become a holder.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct JoinRequest {
    /// The time: microseconds since the Unix epoch. A ledger with a clock of its own does not look at it.
    pub now: u64,
    /// How long its grants last from `now` unless an exchange renews them.
    pub lease: Duration,
}

impl JoinRequest {
    /// A holder that has to be heard of within `lease`.
    pub fn new(now: u64, lease: Duration) -> Self {
        Self { now, lease }
    }
}

/// Who grants are made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// To be shown with every exchange.
    pub epoch: Epoch,
}

impl Holder {
    /// The holder of `epoch`.
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch }
    }
}

/// What a holder has spent, wants and gives back, of any number of budgets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange {
    /// Whose it is.
    pub epoch: Epoch,
    /// Grows with each exchange of a holder; the same when one is repeated.
    pub sequence: u64,
    /// The time: microseconds since the Unix epoch. A ledger with a clock of its own does not look at it.
    pub now: u64,
    /// How long the grants of the holder last from `now`.
    pub lease: Duration,
    /// One for each budget; those that are not named stay as they are.
    pub lines: Vec<GrantLine>,
    /// What was used since the exchange before.
    pub usage: Vec<UsageRecord>,
}

/// One budget of an exchange. All amounts are sums since the holder joined, so that a repeated line changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantLine {
    /// The budget.
    pub budget: BudgetId,
    /// How much of it all holders together may spend.
    pub limit: BudgetLimit,
    /// What the holder has spent. It may be more than was granted, and is booked whole then.
    pub spent: Amount,
    /// What the holder needs to have been granted.
    pub least: Amount,
    /// What it would like to have been granted: above `least` it gets no more than an eighth of what is left. What it has above this it
    /// gives back.
    pub most: Amount,
}

/// The answer to an [`Exchange`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchanged {
    /// One for each line.
    pub grants: Vec<Grant>,
}

/// What a holder has of one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// What was granted since it joined, what it has spent included.
    pub granted: Amount,
    /// What is neither spent nor set aside for anyone; the largest number where there is no limit.
    pub left: Amount,
}

/// Asks to leave.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LeaveRequest {
    /// Who leaves.
    pub epoch: Epoch,
    /// The time: microseconds since the Unix epoch. A ledger with a clock of its own does not look at it.
    pub now: u64,
}

impl Exchange {
    /// One without lines, which renews the lease.
    pub fn new(epoch: Epoch, sequence: u64, now: u64, lease: Duration) -> Self {
        Self { epoch, sequence, now, lease, lines: Vec::new(), usage: Vec::new() }
    }

    /// Adds budgets.
    #[must_use]
    pub fn with_lines(mut self, lines: Vec<GrantLine>) -> Self {
        self.lines = lines;
        self
    }

    /// Adds what was used.
    #[must_use]
    pub fn with_usage(mut self, usage: Vec<UsageRecord>) -> Self {
        self.usage = usage;
        self
    }

    /// Until when the grants last: microseconds since the Unix epoch.
    pub fn expires(&self) -> u64 {
        expires(self.now, self.lease)
    }

    /// What an implementor refuses first of all.
    ///
    /// # Errors
    /// `invalid_input` for a line that needs more than it wants, or names a budget twice.
    pub fn check(&self) -> Result<()> {
        let refused = |line: &GrantLine, reason| {
            Err(Error::new(ErrorKind::InvalidInput, "exchange with the ledger")
                .with_context("budget", &line.budget.scope)
                .with_context("reason", reason))
        };
        let mut names = std::collections::HashSet::with_capacity(self.lines.len());
        for line in &self.lines {
            if !line.least.is_within(line.most) {
                return refused(line, "needs more than it wants");
            }
            if !names.insert(&line.budget) {
                return refused(line, "named twice");
            }
        }
        Ok(())
    }
}

impl JoinRequest {
    /// Until when the grants last: microseconds since the Unix epoch.
    pub fn expires(&self) -> u64 {
        expires(self.now, self.lease)
    }
}

impl Exchanged {
    /// An answer.
    pub fn new(grants: Vec<Grant>) -> Self {
        Self { grants }
    }
}

impl Grant {
    /// What a holder has, and what is left for all.
    pub fn new(granted: Amount, left: Amount) -> Self {
        Self { granted, left }
    }
}

impl LeaveRequest {
    /// The holder of `epoch` leaves.
    pub fn new(epoch: Epoch, now: u64) -> Self {
        Self { epoch, now }
    }
}

fn expires(now: u64, lease: Duration) -> u64 {
    now.saturating_add(u64::try_from(lease.as_micros()).unwrap_or(u64::MAX))
}
