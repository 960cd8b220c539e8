use std::time::Duration;

use agentscale_core::Result;
use serde::{Deserialize, Serialize};

use super::budget::BudgetConfig;
use super::builder::OPERATION;
use super::line::LineConfig;
use crate::nonzero::nonzero;

/// How a gateway queues and repeats calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GatewayConfig {
    /// With more calls than this in line the last of the lowest class is refused; 1,000 (row K4c).
    pub reject_above: usize,
    /// After this many milliseconds without a turn in its class a tenant's call stands with the next higher class; 10,000.
    pub age_after_ms: u64,
    /// The longest wait in line of a call without a deadline, in milliseconds; 60,000.
    pub max_wait_ms: u64,
    /// With more calls than this in line those above it may overflow, until half as many wait; 100 (row K4d).
    pub overflow_pending: usize,
    /// How long the line has to be as long before they do, in milliseconds; 30,000.
    pub overflow_after_ms: u64,
    /// How many times one call is sent at most, each time by another key or provider; 3.
    pub max_attempts: u32,
    /// How long a key rests that its provider does not accept or whose quota is used up, in milliseconds, where the
    /// provider does not say; 600,000.
    pub quarantine_ms: u64,
    /// How long a key rests that its provider limited, in milliseconds, where the provider does not say; 1,000.
    pub cool_down_ms: u64,
    /// How often a provider that fails is asked by a probe of a few tokens, in milliseconds; 2,000. Calls go elsewhere
    /// until it answers one.
    pub probe_every_ms: u64,
    /// For how long a provider is silent, at the least, before another is asked beside it, in milliseconds; 500. The call
    /// has the answer that comes first. It is twice as long as 99 of 100 answers of the last hour took, where that is
    /// longer. Very long, it is never done.
    pub patience_ms: u64,
    /// The same for as long as fewer than some thirty answers are known, in milliseconds; 30,000.
    pub first_patience_ms: u64,
    /// For how long a streamed answer may stand still before it is given up, in milliseconds; 120,000.
    pub max_silence_ms: u64,
    /// This many failures of a provider in a row send calls elsewhere; 5.
    pub failures_to_leave: u16,
    /// The longest answer in tokens of calls that name none, of models that do not say; 4,096.
    pub max_output_tokens: u32,
    /// Of how many tenants and models the use of tokens is learned; 200,000.
    pub max_estimates: usize,
    /// How budgets are spent.
    pub budgets: BudgetConfig,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            reject_above: 1_000,
            age_after_ms: 10_000,
            max_wait_ms: 60_000,
            overflow_pending: 100,
            overflow_after_ms: 30_000,
            max_attempts: 3,
            quarantine_ms: 600_000,
            cool_down_ms: 1_000,
            probe_every_ms: 2_000,
            patience_ms: 500,
            first_patience_ms: 30_000,
            max_silence_ms: 120_000,
            failures_to_leave: 5,
            max_output_tokens: 4_096,
            max_estimates: 200_000,
            budgets: BudgetConfig::default(),
        }
    }
}

impl GatewayConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn check(&self) -> Result<()> {
        let fields = [
            ("age_after_ms", self.age_after_ms),
            ("max_wait_ms", self.max_wait_ms),
            ("overflow_pending", self.overflow_pending as u64),
            ("max_attempts", u64::from(self.max_attempts)),
            ("probe_every_ms", self.probe_every_ms),
            ("max_silence_ms", self.max_silence_ms),
            ("failures_to_leave", u64::from(self.failures_to_leave)),
            ("max_output_tokens", u64::from(self.max_output_tokens)),
        ];
        nonzero(OPERATION, fields.map(|(field, value)| (field, Some(value))))?;
        self.budgets.check()
    }

    pub(super) fn line(&self) -> LineConfig {
        let age_after = Duration::from_millis(self.age_after_ms);
        LineConfig {
            reject_above: self.reject_above,
            age_after,
            long: self.overflow_pending,
            long_for: Duration::from_millis(self.overflow_after_ms),
        }
    }
}
