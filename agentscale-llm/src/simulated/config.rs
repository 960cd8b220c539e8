use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// How a [`SimulatedProvider`](super::SimulatedProvider) behaves. The default answers at once, without limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SimulatedConfig {
    /// Decides every draw; 0.
    pub seed: u64,
    /// The one model; `simulated`.
    pub model: String,
    /// The longest input in tokens; 128,000.
    pub context_window: u32,
    /// The length of its vectors; 64.
    pub dimensions: u32,
    /// The median time to the first token in milliseconds, drawn from a lognormal distribution; 0.
    pub first_token_ms: u64,
    /// The standard deviation of the logarithm of that time; 0, so that every call takes the median. At 0.5 one
    /// call of a hundred takes 3.2 times the median.
    pub first_token_sigma: f64,
    /// The time between two tokens in microseconds; 0.
    pub token_us: u64,
    /// The shortest answer in tokens; 20.
    pub min_output_tokens: u32,
    /// The longest answer in tokens; 60.
    pub max_output_tokens: u32,
    /// Shares of the calls that fail, by kind; none.
    pub errors: Vec<ErrorRate>,
    /// The share of the answers that break off halfway with `unavailable`, 0 to 1; 0.
    pub break_rate: f64,
    /// Calls, counted from 0, that never answer; none.
    pub hanging_calls: Vec<u64>,
    /// Requests a minute, as a bucket that refills continuously and holds a minute's worth; no limit.
    pub requests_per_minute: Option<u32>,
    /// Input and output tokens a minute, likewise; no limit.
    pub tokens_per_minute: Option<u32>,
    /// Calls at one time; practically no limit.
    pub max_concurrency: usize,
}

/// A share of calls that fail with one kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRate {
    /// The kind of the error.
    pub kind: ErrorKind,
    /// The share of the calls, 0 to 1.
    pub rate: f64,
}

impl Default for SimulatedConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            model: "simulated".to_owned(),
            context_window: 128_000,
            dimensions: 64,
            first_token_ms: 0,
            first_token_sigma: 0.0,
            token_us: 0,
            min_output_tokens: 20,
            max_output_tokens: 60,
            errors: Vec::new(),
            break_rate: 0.0,
            hanging_calls: Vec::new(),
            requests_per_minute: None,
            tokens_per_minute: None,
            max_concurrency: u32::MAX as usize,
        }
    }
}

impl SimulatedConfig {
    pub(super) fn check(&self) -> Result<()> {
        let each = self.errors.iter().map(|error| ("errors", error.rate));
        let together = self.errors.iter().map(|error| error.rate).sum();
        for (field, share) in each.chain([("errors", together), ("break_rate", self.break_rate)]) {
            if !(0.0..=1.0).contains(&share) {
                return Err(refused(field, "not between 0 and 1"));
            }
        }
        if !(0.0..=10.0).contains(&self.first_token_sigma) {
            return Err(refused("first_token_sigma", "not between 0 and 10"));
        }
        if self.min_output_tokens > self.max_output_tokens || self.max_output_tokens == 0 {
            return Err(refused("max_output_tokens", "0 or below min_output_tokens"));
        }
        if self.dimensions == 0 {
            return Err(refused("dimensions", "0"));
        }
        Ok(())
    }
}

fn refused(field: &'static str, reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "configure the simulator")
        .with_context("field", field)
        .with_context("reason", reason)
}
