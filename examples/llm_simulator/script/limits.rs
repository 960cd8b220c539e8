use serde::Deserialize;

use super::in_range;

/// What each provider allows an organisation and model. Providers that are left out are without limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// How long a minute takes, so that tests need not wait for a real one; 60,000.
    pub(crate) minute_ms: u64,
    /// How long a day takes; 86,400,000.
    pub(crate) day_ms: u64,
    pub(crate) openai: Option<OpenAiLimits>,
    pub(crate) anthropic: Option<AnthropicLimits>,
    pub(crate) gemini: Option<GeminiLimits>,
    pub(crate) ollama: Option<OllamaLimits>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            minute_ms: 60_000,
            day_ms: 86_400_000,
            openai: None,
            anthropic: None,
            gemini: None,
            ollama: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenAiLimits {
    pub(crate) requests_per_minute: u64,
    pub(crate) tokens_per_minute: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnthropicLimits {
    pub(crate) requests_per_minute: u64,
    pub(crate) input_tokens_per_minute: u64,
    pub(crate) output_tokens_per_minute: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GeminiLimits {
    pub(crate) requests_per_minute: u64,
    pub(crate) input_tokens_per_minute: u64,
    pub(crate) requests_per_day: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OllamaLimits {
    /// Answers that are made at a time; the server's, whoever asks.
    pub(crate) parallel: usize,
    /// Requests that wait; one more is refused.
    pub(crate) queue: usize,
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), String> {
        let at_least_1 = |field: &str, value: u64| in_range(field, value as f64, 1.0, 1e15);
        at_least_1("limits.minute_ms", self.minute_ms)?;
        at_least_1("limits.day_ms", self.day_ms)?;
        if let Some(openai) = &self.openai {
            at_least_1("limits.openai.requests_per_minute", openai.requests_per_minute)?;
            at_least_1("limits.openai.tokens_per_minute", openai.tokens_per_minute)?;
        }
        if let Some(anthropic) = &self.anthropic {
            at_least_1("limits.anthropic.requests_per_minute", anthropic.requests_per_minute)?;
            at_least_1("limits.anthropic.input_tokens_per_minute", anthropic.input_tokens_per_minute)?;
            at_least_1("limits.anthropic.output_tokens_per_minute", anthropic.output_tokens_per_minute)?;
        }
        if let Some(gemini) = &self.gemini {
            at_least_1("limits.gemini.requests_per_minute", gemini.requests_per_minute)?;
            at_least_1("limits.gemini.input_tokens_per_minute", gemini.input_tokens_per_minute)?;
            at_least_1("limits.gemini.requests_per_day", gemini.requests_per_day)?;
        }
        match &self.ollama {
            Some(ollama) => in_range("limits.ollama.parallel", ollama.parallel as f64, 1.0, 1e6),
            None => Ok(()),
        }
    }
}
