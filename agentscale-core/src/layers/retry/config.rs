use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::Component;
use crate::layers::limits::{self, DAY_MS};
use crate::time::millis;

/// How often and after which waits a call is repeated; the default is the LLM row of [`Component`] (row O7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// How many calls may follow the first; 3.
    pub max_retries: u32,
    /// How the waits grow; `exponential`.
    pub backoff: Backoff,
    /// `first_delay_ms`: milliseconds before the first retry, an upper bound under full jitter; 1 000.
    #[serde(rename = "first_delay_ms", with = "millis")]
    pub first_delay: Duration,
    /// `max_delay_ms`: milliseconds that no wait of the backoff exceeds; 60 000.
    #[serde(rename = "max_delay_ms", with = "millis")]
    pub max_delay: Duration,
    /// `max_retry_after_ms`: milliseconds; an error that asks for a longer wait is not retried; 60 000.
    #[serde(rename = "max_retry_after_ms", with = "millis")]
    pub max_retry_after: Duration,
    /// How callers that failed together are kept from coming back together; `full`.
    pub jitter: Jitter,
}

impl RetryConfig {
    /// What the rows of the table have in common.
    pub(in crate::layers) const COMMON: Self = Self {
        max_retries: 3,
        backoff: Backoff::Exponential,
        first_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(60),
        max_retry_after: Duration::from_secs(60),
        jitter: Jitter::Full,
    };
}

impl Default for RetryConfig {
    fn default() -> Self {
        Component::Llm.retry()
    }
}

/// How the waits between retries grow from the first delay `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Backoff {
    /// d, d, d, …
    Fixed,
    /// d, 2 d, 3 d, …
    Linear,
    /// d, 2 d, 4 d, …
    Exponential,
}

/// What chance adds to or takes from a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jitter {
    /// The backoff's delay is the bound of a uniform choice. Where the error asks for a wait, the choice is
    /// added to that wait.
    Full,
    /// The backoff's delay, or the wait that the error asks for where that is longer.
    None,
}

impl RetryConfig {
    pub(super) fn checked(self) -> Result<Self> {
        const OPERATION: &str = "set up retries";
        let millis = millis::rounded_up;
        limits::within(OPERATION, "max_retries", self.max_retries, 0..=MOST_RETRIES)?;
        limits::within(OPERATION, "max_delay_ms", millis(self.max_delay), 0..=DAY_MS)?;
        limits::within(OPERATION, "first_delay_ms", millis(self.first_delay), 0..=millis(self.max_delay))?;
        limits::within(OPERATION, "max_retry_after_ms", millis(self.max_retry_after), 0..=DAY_MS)?;
        Ok(self)
    }
}

/// More than this is a loop, not a retry.
const MOST_RETRIES: u32 = 1_000;
