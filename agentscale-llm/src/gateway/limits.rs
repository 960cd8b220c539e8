use agentscale_core::Result;
use serde::{Deserialize, Serialize};

use super::builder::OPERATION;
use crate::nonzero::nonzero;

/// What one key, or the keys of one quota together, may do; what is `None` is not limited (row K4a).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KeyLimits {
    /// Requests a minute.
    pub requests: Option<u64>,
    /// Tokens of input a minute.
    pub input_tokens: Option<u64>,
    /// Tokens of output a minute.
    pub output_tokens: Option<u64>,
    /// Tokens of input and output together a minute, for providers that count them so as OpenAI does: a call takes its
    /// input and its longest answer when it comes, and what it does not use is not given back.
    pub tokens: Option<u64>,
    /// Calls at a time.
    pub concurrency: Option<u32>,
    /// Whether input that came from the provider's prompt cache does not count, as at Anthropic for most models; `false`.
    pub cached_input_is_free: bool,
}

impl KeyLimits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the requests a minute.
    #[must_use]
    pub fn with_requests(mut self, a_minute: u64) -> Self {
        self.requests = Some(a_minute);
        self
    }

    /// Sets the tokens of input a minute.
    #[must_use]
    pub fn with_input_tokens(mut self, a_minute: u64) -> Self {
        self.input_tokens = Some(a_minute);
        self
    }

    /// Sets the tokens of output a minute.
    #[must_use]
    pub fn with_output_tokens(mut self, a_minute: u64) -> Self {
        self.output_tokens = Some(a_minute);
        self
    }

    /// Sets the tokens of input and output together a minute.
    #[must_use]
    pub fn with_tokens(mut self, a_minute: u64) -> Self {
        self.tokens = Some(a_minute);
        self
    }

    /// Sets how many calls run at a time.
    #[must_use]
    pub fn with_concurrency(mut self, calls: u32) -> Self {
        self.concurrency = Some(calls);
        self
    }

    /// Does not count input that came from the provider's prompt cache.
    #[must_use]
    pub fn with_free_cached_input(mut self) -> Self {
        self.cached_input_is_free = true;
        self
    }

    /// A limit of zero lets nothing through for ever: a key that shall not be used is left out instead.
    pub(super) fn check(&self, key: &str) -> Result<()> {
        let limits = [
            ("requests", self.requests),
            ("input_tokens", self.input_tokens),
            ("output_tokens", self.output_tokens),
            ("tokens", self.tokens),
            ("concurrency", self.concurrency.map(u64::from)),
        ];
        nonzero(OPERATION, limits).map_err(|error| error.with_context("key", key))
    }
}
