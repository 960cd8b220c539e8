use std::num::NonZeroU16;
use std::time::Duration;

use super::{Backoff, CircuitBreakerConfig, CircuitTrip, ConsecutiveFailures, RetryConfig, TimeoutConfig};

/// The components of a runtime that calls go to, with the values that each starts with.
///
/// | component | retry (row O7) | circuit breaker (row O8) | timeout |
/// |---|---|---|---|
/// | LLM | 3 exponential: 1 s, 2 s, 4 s | 5 failures in 30 s, open for 30 s | 60 s |
/// | tool | 2 linear: 500 ms, 1 s | 10 in 60 s, open for 60 s | 30 s |
/// | checkpoint | 5 exponential from 100 ms | none: the agent blocks rather than lose state (row O13c) | 5 s |
/// | memory | 2 fixed of 100 ms | 20 in 60 s, open for 60 s | 5 s |
/// | database | 3 exponential from 500 ms | 10 in 30 s, open for 30 s | 5 s |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Component {
    /// A model provider.
    Llm,
    /// A tool of an agent.
    Tool,
    /// The store of checkpoints.
    Checkpoint,
    /// Knowledge and episodic memory.
    Memory,
    /// A database behind a store.
    Database,
}

impl Component {
    pub(super) const LLM_FAILURES: ConsecutiveFailures = consecutive(5, 30);
    pub(super) const LLM_CIRCUIT_BREAKER: CircuitBreakerConfig = circuit_breaker(5, 30);

    /// How calls to it are retried.
    pub fn retry(self) -> RetryConfig {
        let (max_retries, backoff, first_delay_ms) = match self {
            Self::Llm => (3, Backoff::Exponential, 1_000),
            Self::Tool => (2, Backoff::Linear, 500),
            Self::Checkpoint => (5, Backoff::Exponential, 100),
            Self::Memory => (2, Backoff::Fixed, 100),
            Self::Database => (3, Backoff::Exponential, 500),
        };
        let first_delay = Duration::from_millis(first_delay_ms);
        RetryConfig { max_retries, backoff, first_delay, ..RetryConfig::COMMON }
    }

    /// When calls to it are refused; `None` where no breaker stands in front of it.
    pub fn circuit_breaker(self) -> Option<CircuitBreakerConfig> {
        match self {
            Self::Llm => Some(Self::LLM_CIRCUIT_BREAKER),
            Self::Tool => Some(circuit_breaker(10, 60)),
            Self::Memory => Some(circuit_breaker(20, 60)),
            Self::Database => Some(circuit_breaker(10, 30)),
            Self::Checkpoint => None,
        }
    }

    /// How long one attempt may take.
    pub fn timeout(self) -> TimeoutConfig {
        let secs = match self {
            Self::Llm => 60,
            Self::Tool => 30,
            Self::Checkpoint | Self::Memory | Self::Database => 5,
        };
        TimeoutConfig { after: Duration::from_secs(secs) }
    }
}

const fn circuit_breaker(failures: u16, secs: u64) -> CircuitBreakerConfig {
    CircuitBreakerConfig {
        trip: CircuitTrip::ConsecutiveFailures(consecutive(failures, secs)),
        open_for: Duration::from_secs(secs),
        max_half_open: Duration::from_secs(120),
    }
}

const fn consecutive(failures: u16, secs: u64) -> ConsecutiveFailures {
    let failures = NonZeroU16::new(failures).expect("the table has no zero");
    ConsecutiveFailures { failures, within: Duration::from_secs(secs) }
}
