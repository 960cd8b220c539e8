use serde::{Deserialize, Serialize};

/// How a provider's prompt cache is used (row O13b).
///
/// Providers keep the work on a prompt's beginning and charge less for it when it comes again. OpenAI does so unasked
/// and takes a key; Anthropic does so up to the messages that are
/// [breakpoints](super::Message::cache_breakpoint); Gemini does so unasked, and for contents that the host has stored
/// there under a name. What a provider does not know it passes over: a cache changes the price of an answer, not the
/// answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PromptCache {
    /// Brings requests that begin alike to the same cache: OpenAI's `prompt_cache_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How long what is kept shall stay.
    pub retention: CacheRetention,
    /// Contents that were stored at the provider before and stand before the messages: the name of Gemini's
    /// `cachedContents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
}

/// How long a prompt cache keeps what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CacheRetention {
    /// The provider's own time: minutes.
    #[default]
    Standard,
    /// The longest that the provider offers: an hour at Anthropic, half an hour or a day at OpenAI.
    Long,
}

impl PromptCache {
    /// The provider's own ways.
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings requests that begin alike to the same cache.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Keeps for the longest time that the provider offers.
    #[must_use]
    pub fn with_long_retention(mut self) -> Self {
        self.retention = CacheRetention::Long;
        self
    }

    /// Puts contents that were stored at the provider before the messages.
    #[must_use]
    pub fn with_stored(mut self, name: impl Into<String>) -> Self {
        self.stored = Some(name.into());
        self
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
