use std::borrow::Cow;
use std::time::Duration;

/// A circuit has opened: told to the hook of [`CircuitBreaker::with_on_open`](super::CircuitBreaker::with_on_open).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The component that the breaker was named for.
    pub component: Cow<'static, str>,
    /// How long calls are refused from now on; [`Duration::MAX`] where the circuit was forced open.
    pub open_for: Duration,
    /// What opened it.
    pub cause: OpenCause,
}

/// What opened a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenCause {
    /// So many failures with no success between them.
    ConsecutiveFailures,
    /// The share of failed calls.
    FailureRate,
    /// The share of slow calls.
    SlowCallRate,
    /// The probe of a half-open circuit failed, or was slow where slow calls count: the circuit was open before.
    Probe,
    /// [`CircuitBreaker::force_open`](super::CircuitBreaker::force_open).
    Forced,
}

impl OpenCause {
    /// The name used in logs: `failure_rate` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRate => "failure_rate",
            Self::SlowCallRate => "slow_call_rate",
            Self::Probe => "probe",
            Self::Forced => "forced",
        }
    }
}
