use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::layers::Component;
use crate::time::millis;

/// When a circuit opens and for how long; the default is the LLM row of [`Component`] (row O8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitBreakerConfig {
    /// This many failures with no success between them open the circuit; 5.
    pub consecutive_failures: NonZeroU16,
    /// `within_ms`: milliseconds; failures longer ago do not count; 30 000.
    #[serde(rename = "within_ms", with = "millis")]
    pub within: Duration,
    /// `open_for_ms`: milliseconds from the opening to the first probe; 30 000.
    #[serde(rename = "open_for_ms", with = "millis")]
    pub open_for: Duration,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Component::LLM_CIRCUIT_BREAKER
    }
}
