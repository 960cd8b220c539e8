use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::Component;
use crate::layers::limits::{self, DAY_MS};
use crate::time::millis;

/// When a circuit opens and for how long; the default is the LLM row of [`Component`] (row O8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitBreakerConfig {
    /// What opens the circuit; 5 consecutive failures within 30 s.
    pub trip: CircuitTrip,
    /// `open_for_ms`: milliseconds from the opening to the first probe; 30 000.
    #[serde(rename = "open_for_ms", with = "millis")]
    pub open_for: Duration,
    /// `max_half_open_ms`: milliseconds after which a probe that has not ended is given up: the next call is the probe
    /// of a new cycle; 120 000.
    #[serde(rename = "max_half_open_ms", with = "millis")]
    pub max_half_open: Duration,
}

/// What opens a circuit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CircuitTrip {
    /// Failures with no success between them.
    ConsecutiveFailures(ConsecutiveFailures),
    /// A share of the calls of late.
    Rates(CircuitRates),
}

/// So many failures in a row, of late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsecutiveFailures {
    /// This many failures with no success between them open the circuit; 5.
    pub failures: NonZeroU16,
    /// `within_ms`: milliseconds; failures longer ago do not count; 30 000.
    #[serde(rename = "within_ms", with = "millis")]
    pub within: Duration,
}

/// The failure rate or the slow-call rate over a sliding window of time, looked at after each call.
///
/// The window moves in tenths: a call counts for at least nine tenths of it, and at most for all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitRates {
    /// `window_ms`: milliseconds over which calls are counted; 60 000.
    #[serde(rename = "window_ms", with = "millis")]
    pub window: Duration,
    /// With fewer calls than this in the window the circuit stays closed, 1 to 100 000; 10.
    pub min_calls: NonZeroU32,
    /// The share of failed calls that opens the circuit, above 0 and at most 1; 0.5.
    pub failure_rate: f64,
    /// `slow_call_ms`: a call that takes as many milliseconds is slow, whether it fails or not; 60 000.
    #[serde(rename = "slow_call_ms", with = "millis")]
    pub slow_call: Duration,
    /// The share of slow calls that opens the circuit, above 0 and at most 1; 1.
    pub slow_call_rate: f64,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Component::LLM_CIRCUIT_BREAKER
    }
}

impl Default for ConsecutiveFailures {
    fn default() -> Self {
        Component::LLM_FAILURES
    }
}

impl Default for CircuitRates {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60),
            min_calls: NonZeroU32::MIN.saturating_add(9),
            failure_rate: 0.5,
            slow_call: Duration::from_secs(60),
            slow_call_rate: 1.0,
        }
    }
}

impl CircuitBreakerConfig {
    pub(super) fn checked(self) -> Result<Self> {
        require_time("open_for_ms", self.open_for)?;
        require_time("max_half_open_ms", self.max_half_open)?;
        match &self.trip {
            CircuitTrip::ConsecutiveFailures(trip) => require_time("within_ms", trip.within)?,
            CircuitTrip::Rates(rates) => rates.check()?,
        }
        Ok(self)
    }
}

impl CircuitRates {
    fn check(&self) -> Result<()> {
        require_time("window_ms", self.window)?;
        limits::within(OPERATION, "min_calls", self.min_calls.get(), 1..=MOST_MIN_CALLS)?;
        require_share("failure_rate", self.failure_rate)?;
        require_time("slow_call_ms", self.slow_call)?;
        require_share("slow_call_rate", self.slow_call_rate)
    }
}

/// A tenth of the window counts at least so many before it halves its counts.
const MOST_MIN_CALLS: u32 = 100_000;

const OPERATION: &str = "set up a circuit breaker";

fn require_time(field: &'static str, time: Duration) -> Result<()> {
    limits::within(OPERATION, field, millis::rounded_up(time), 1..=DAY_MS)
}

fn require_share(field: &'static str, share: f64) -> Result<()> {
    limits::within(OPERATION, field, share, 1e-6..=1.0)
}
