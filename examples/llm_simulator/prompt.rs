//! What a request asks for, in one vocabulary for all dialects.

use std::time::Duration;

use serde_json::Value;

/// About what the providers' tokenizers make of English.
const BYTES_PER_TOKEN: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct Prompt {
    pub(crate) model: String,
    /// All that the model reads, in the order in which it is cached.
    pub(crate) segments: Vec<Segment>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    pub(crate) one_call: bool,
    /// There are no messages, where the API allows that.
    pub(crate) is_empty: bool,
    /// The last message holds the result of a tool.
    pub(crate) after_tool: bool,
    pub(crate) format: Format,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stop: Vec<String>,
    pub(crate) thinking: Thinking,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// Chunks are padded.
    pub(crate) obfuscate: bool,
    pub(crate) caching: Caching,
    /// The resource that the prompt continues.
    pub(crate) resource: Option<String>,
}

/// A part of a prompt that is one piece to a cache.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tokens: u64,
    /// The prompt is to be cached up to here, for as long.
    pub(crate) breakpoint: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) enum Choice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

#[derive(Debug, Default)]
pub(crate) enum Format {
    #[default]
    Text,
    Object,
    Schema(Value),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Thinking {
    #[default]
    Off,
    /// Counted, and not shown.
    Hidden,
    Shown,
}

#[derive(Debug, Default)]
pub(crate) enum Caching {
    #[default]
    None,
    /// Every block of a prefix, under a key that parts otherwise equal prompts.
    Blocks { key: String },
    /// Up to the breakpoints.
    Breakpoints,
    /// As many leading segments belong to a resource.
    Resource { segments: usize },
}

impl Segment {
    pub(crate) fn text(role: &str, text: &str) -> Self {
        let mut bytes = Vec::with_capacity(role.len() + text.len() + 2);
        bytes.extend_from_slice(role.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(1);
        Self { bytes, tokens: tokens(text), breakpoint: None }
    }

    pub(crate) fn json(role: &str, value: &Value) -> Self {
        Self::text(role, &value.to_string())
    }

    /// A picture or a file: a fixed price, whatever its size.
    pub(crate) fn media(role: &str, value: &Value) -> Self {
        Self { tokens: 258, ..Self::json(role, value) }
    }
}

impl Prompt {
    pub(crate) fn input_tokens(&self) -> u64 {
        self.segments.iter().map(|segment| segment.tokens).sum()
    }

    /// Equal for equal prompts of a seed, whether they are streamed or not.
    pub(crate) fn digest(&self, seed: u64) -> [u8; 32] {
        let mut hash = blake3::Hasher::new();
        hash.update(&seed.to_le_bytes());
        hash.update(self.model.as_bytes());
        for segment in &self.segments {
            hash.update(&segment.bytes);
        }
        *hash.finalize().as_bytes()
    }
}

/// At least one for a text that is not empty.
pub(crate) fn tokens(text: &str) -> u64 {
    text.len().div_ceil(BYTES_PER_TOKEN) as u64
}
