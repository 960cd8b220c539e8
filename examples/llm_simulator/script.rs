//! What a run is to look like, as JSON. Durations are milliseconds; unknown fields are refused.

mod fault;
mod limits;

use std::path::Path;

use serde::Deserialize;

pub(crate) use fault::{Cut, Fault, NamedError, Then, When};
pub(crate) use limits::{AnthropicLimits, GeminiLimits, Limits, OpenAiLimits};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Script {
    /// The models that exist; any name where there are none.
    pub(crate) models: Vec<Model>,
    /// The keys that are accepted; any key, or none, where there are none.
    pub(crate) keys: Vec<Key>,
    /// How long answers take.
    pub(crate) latency: Latency,
    /// What answers are like.
    pub(crate) answers: Answers,
    /// When a prompt's beginning counts as cached.
    pub(crate) cache: Cache,
    /// What is allowed in a minute; nothing is limited by default.
    pub(crate) limits: Limits,
    /// What goes wrong. The first rule that fits a request is applied.
    pub(crate) faults: Vec<Fault>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// The name in requests.
    pub(crate) name: String,
    /// The most tokens of a prompt and its answer; without a bound by default.
    pub(crate) context_tokens: Option<u64>,
    /// How long this model's answers take, where it is not as the others'.
    pub(crate) latency: Option<Latency>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) key: String,
    /// Keys of one organisation share its limits and caches; the key's own name by default.
    pub(crate) organization: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Latency {
    /// From the request to the first token; 2.
    pub(crate) first_token_ms: f64,
    /// 2,000; 0 sends every token at once.
    pub(crate) tokens_per_second: f64,
    /// The largest deviation of both, as a fraction; 0.1.
    pub(crate) jitter: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { first_token_ms: 2.0, tokens_per_second: 2_000.0, jitter: 0.1 }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Answers {
    /// The fewest tokens of a text; 16.
    pub(crate) min_tokens: u64,
    /// The most tokens of a text; 48.
    pub(crate) max_tokens: u64,
    /// The tokens of thinking where it is asked for; 12.
    pub(crate) thinking_tokens: u64,
    /// How often a tool is called where it may be and no result has just come; 1.
    pub(crate) tool_call_probability: f64,
    /// How many calls an answer makes where it calls; 1.
    pub(crate) tool_calls: u32,
    /// The length of embeddings; 256.
    pub(crate) dimensions: usize,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            min_tokens: 16,
            max_tokens: 48,
            thinking_tokens: 12,
            tool_call_probability: 1.0,
            tool_calls: 1,
            dimensions: 256,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cache {
    /// The shortest prefix that is cached, in tokens; 1,024.
    pub(crate) min_tokens: u64,
    /// OpenAI and Gemini cache in steps of as many tokens; 128.
    pub(crate) block_tokens: u64,
    /// How long a prefix stays where the request does not say; 300,000.
    pub(crate) ttl_ms: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self { min_tokens: 1_024, block_tokens: 128, ttl_ms: 300_000 }
    }
}

impl Script {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let script: Self =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        script.check().map_err(|field| format!("{}: {field}", path.display()))?;
        Ok(script)
    }

    /// Names the first field that cannot be used.
    fn check(&self) -> Result<(), String> {
        let latencies = self.models.iter().filter_map(|model| model.latency.as_ref()).chain([&self.latency]);
        for latency in latencies {
            in_range("latency.first_token_ms", latency.first_token_ms, 0.0, 86_400_000.0)?;
            in_range("latency.tokens_per_second", latency.tokens_per_second, 0.0, 1e9)?;
            in_range("latency.jitter", latency.jitter, 0.0, 1.0)?;
        }
        in_range("answers.tool_call_probability", self.answers.tool_call_probability, 0.0, 1.0)?;
        in_range("answers.min_tokens", self.answers.min_tokens as f64, 1.0, self.answers.max_tokens as f64)?;
        in_range("answers.max_tokens", self.answers.max_tokens as f64, 1.0, 1e6)?;
        in_range("answers.thinking_tokens", self.answers.thinking_tokens as f64, 0.0, 1e6)?;
        in_range("answers.tool_calls", f64::from(self.answers.tool_calls), 1.0, 128.0)?;
        in_range("answers.dimensions", self.answers.dimensions as f64, 2.0, 8_192.0)?;
        in_range("cache.block_tokens", self.cache.block_tokens as f64, 1.0, 1e6)?;
        if self.models.iter().any(|model| model.name.is_empty()) {
            return Err("models.name is empty".to_owned());
        }
        if self.keys.iter().any(|key| key.key.is_empty()) {
            return Err("keys.key is empty".to_owned());
        }
        self.limits.check()?;
        self.faults
            .iter()
            .enumerate()
            .try_for_each(|(place, fault)| fault.check().map_err(|field| format!("faults[{place}].{field}")))
    }
}

fn in_range(field: &str, value: f64, least: f64, most: f64) -> Result<(), String> {
    match value >= least && value <= most {
        true => Ok(()),
        false => Err(format!("{field} is {value}, and must lie between {least} and {most}")),
    }
}
