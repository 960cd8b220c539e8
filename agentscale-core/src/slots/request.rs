use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use super::Epoch;
use crate::{Account, Error, ErrorKind, Result, Tenant};

/// How long a member that waits keeps its turn without being heard of.
pub const TURN_KEPT_FOR: Duration = Duration::from_secs(1);

/// Whose slots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    /// The tenant.
    pub tenant: Tenant,
    /// Its account; `None` for the runs of the tenant that name none.
    pub account: Option<Account>,
}

impl SlotKey {
    /// The slots of an account.
    pub fn new(tenant: Tenant, account: Option<Account>) -> Self {
        Self { tenant, account }
    }
}

impl fmt::Display for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(f, "{}/{account}", self.tenant),
            None => write!(f, "{}", self.tenant),
        }
    }
}

/// Asks to become a member.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct JoinRequest {
    /// How long its slots last unless an exchange renews them.
    pub ttl: Duration,
}

impl JoinRequest {
    /// A member that has to be heard of within `ttl`.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl }
    }
}

/// Who holds slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotMember {
    /// To be shown with every exchange.
    pub epoch: Epoch,
}

impl SlotMember {
    /// The member of `epoch`.
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch }
    }
}

/// What a member uses and wants, of any number of accounts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlotExchange {
    /// Whose it is.
    pub epoch: Epoch,
    /// Above that of the exchange before.
    pub sequence: u64,
    /// How long the slots of the member last from now on.
    pub ttl: Duration,
    /// One for each account; those that are not named stay as they are.
    pub lines: Vec<SlotLine>,
}

impl SlotExchange {
    /// One without lines, which renews the lease.
    pub fn new(epoch: Epoch, sequence: u64, ttl: Duration) -> Self {
        Self { epoch, sequence, ttl, lines: Vec::new() }
    }

    /// Adds accounts.
    #[must_use]
    pub fn with_lines(mut self, lines: Vec<SlotLine>) -> Self {
        self.lines = lines;
        self
    }

    /// What an implementor refuses first of all.
    ///
    /// # Errors
    /// `invalid_input` for a line that uses more than it wants, or names an account twice, and for a time as
    /// [`check_ttl`](crate::lease::check_ttl) says.
    pub fn check(&self) -> Result<()> {
        crate::lease::check_ttl(self.ttl)?;
        let refused = |line: &SlotLine, reason| {
            Err(Error::new(ErrorKind::InvalidInput, "exchange slots")
                .with_context("account", &line.key)
                .with_context("reason", reason))
        };
        let mut keys = HashSet::with_capacity(self.lines.len());
        for line in &self.lines {
            if line.used > line.wanted {
                return refused(line, "uses more than it wants");
            }
            if !keys.insert(&line.key) {
                return refused(line, "named twice");
            }
        }
        Ok(())
    }
}

/// One account of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotLine {
    /// Whose slots.
    pub key: SlotKey,
    /// How many of them there are for all members together.
    pub limit: u32,
    /// How many the member uses; what it had above this it gives back.
    pub used: u32,
    /// How many it would have, those in use included.
    pub wanted: u32,
}

/// The answer to a [`SlotExchange`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotsExchanged {
    /// One for each line.
    pub grants: Vec<SlotGrant>,
}

impl SlotsExchanged {
    /// An answer.
    pub fn new(grants: Vec<SlotGrant>) -> Self {
        Self { grants }
    }
}

/// What a member has of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotGrant {
    /// How many slots it has.
    pub held: u32,
    /// How many all members have together.
    pub all: u32,
}

impl SlotGrant {
    /// So many of so many.
    pub fn new(held: u32, all: u32) -> Self {
        Self { held, all }
    }
}

/// Asks to leave.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LeaveRequest {
    /// Who leaves.
    pub epoch: Epoch,
}

impl LeaveRequest {
    /// The member of `epoch` leaves.
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch }
    }
}

/// The error of whoever shows an epoch that is no member's (any more).
pub fn fenced(operation: &'static str) -> Error {
    Error::new(ErrorKind::Fenced, operation).with_context("reason", "no member")
}
