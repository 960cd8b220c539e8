use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::answer::find;
use crate::Error;

/// What a provider said of its limits, in the headers of an answer or in the body of a refusal.
///
/// Behind a `rate_limited` or `quota_exceeded` error it is found with [`RateLimits::of`].
///
/// ```
/// use std::time::Duration;
/// use agentscale_core::llm::{LimitedUnit, LimitWindow, RateLimit, RateLimits};
/// use agentscale_core::{Error, ErrorKind};
///
/// let daily = RateLimit::new(LimitedUnit::Requests).with_window(LimitWindow::Day).with_remaining(0);
/// let limits = RateLimits::new(vec![daily.with_reset(Duration::from_secs(3_600))]);
/// let error = Error::new(ErrorKind::RateLimited, "complete").with_source(limits);
/// assert_eq!(RateLimits::of(&error).unwrap().hit().unwrap().window, Some(LimitWindow::Day));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimits {
    /// One for each limit that was told of.
    pub limits: Vec<RateLimit>,
}

/// One limit, as far as the provider told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// What is counted.
    pub unit: LimitedUnit,
    /// In which time.
    pub window: Option<LimitWindow>,
    /// How much there is in a window.
    pub limit: Option<u64>,
    /// How much is left of it.
    pub remaining: Option<u64>,
    /// How long from the answer until it is full again, or until the window begins anew.
    pub reset: Option<Duration>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitedUnit {
    /// Requests.
    Requests,
    /// Tokens of input and output together.
    Tokens,
    /// Tokens of input.
    InputTokens,
    /// Tokens of output.
    OutputTokens,
}

/// The time in which a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitWindow {
    /// A minute, or a bucket that fills all the time at a rate told by the minute.
    Minute,
    /// A day: what is used up stays so until the reset.
    Day,
}

impl RateLimits {
    /// These limits.
    pub fn new(limits: Vec<RateLimit>) -> Self {
        Self { limits }
    }

    /// What stands behind `error`.
    pub fn of(error: &Error) -> Option<&Self> {
        find(error)
    }

    /// The limit of `unit` with the least left.
    pub fn get(&self, unit: LimitedUnit) -> Option<&RateLimit> {
        self.limits.iter().filter(|limit| limit.unit == unit).min_by_key(|limit| limit.remaining)
    }

    /// The limit that is used up; of several the one that stays so for longest.
    pub fn hit(&self) -> Option<&RateLimit> {
        self.limits.iter().filter(|limit| limit.remaining == Some(0)).max_by_key(|limit| limit.reset)
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }
}

impl RateLimit {
    /// A limit of which nothing but its unit is known.
    pub fn new(unit: LimitedUnit) -> Self {
        Self { unit, window: None, limit: None, remaining: None, reset: None }
    }

    /// Sets the time in which it counts.
    #[must_use]
    pub fn with_window(mut self, window: LimitWindow) -> Self {
        self.window = Some(window);
        self
    }

    /// Sets how much there is.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sets how much is left.
    #[must_use]
    pub fn with_remaining(mut self, remaining: u64) -> Self {
        self.remaining = Some(remaining);
        self
    }

    /// Sets the time until it is full or begins anew.
    #[must_use]
    pub fn with_reset(mut self, reset: Duration) -> Self {
        self.reset = Some(reset);
        self
    }
}

impl fmt::Display for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hit() {
            Some(limit) => write!(f, "the limit of {:?} is used up", limit.unit),
            None => f.write_str("a limit of the provider"),
        }
    }
}

impl StdError for RateLimits {}
