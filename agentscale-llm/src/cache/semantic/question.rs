use agentscale_core::llm::{CompletionRequest, Content, Role};

use super::SemanticConfig;
use super::particulars::particulars;
use crate::cache::key::Key;

/// What is compared of a request by its meaning, and all else of it, which must be equal.
#[derive(Debug)]
pub(super) struct Question {
    /// The texts of the last message, their white space single spaces.
    pub(super) text: String,
    /// Everything that could change the answer beside the text, and the text's [particulars](particulars).
    pub(super) rest: Key,
}

impl Question {
    /// `None` where a request is answered only from one with equal texts.
    pub(super) fn of(request: &CompletionRequest, config: &SemanticConfig) -> Option<Self> {
        let last = request.messages.last().filter(|last| last.role == Role::User)?;
        let is_cool = request.temperature.is_none_or(|temperature| temperature <= config.max_temperature);
        let mut parts = request.messages.iter().flat_map(|message| &message.content);
        if !is_cool || parts.any(|part| is_excluded(part, config)) {
            return None;
        }
        let texts: Vec<_> = last.content.iter().filter_map(text_of).collect();
        let is_short = texts.iter().map(|text| text.len()).sum::<usize>() <= config.max_text_bytes;
        let text = texts.iter().flat_map(|text| text.split_whitespace()).collect::<Vec<_>>().join(" ");
        if text.is_empty() || !is_short {
            return None;
        }
        let particulars: Vec<_> = texts.iter().flat_map(|text| particulars(text)).collect();
        Some(Self { rest: Key::beside_last_text(request, &particulars), text })
    }
}

fn text_of(part: &Content) -> Option<&str> {
    match part {
        Content::Text { text } => Some(text),
        _ => None,
    }
}

fn is_excluded(part: &Content, config: &SemanticConfig) -> bool {
    match part {
        Content::Text { .. } | Content::Document { .. } | Content::Reasoning(_) => false,
        Content::Image(_) => !config.images,
        Content::ToolCall(_) | Content::ToolResult { .. } => !config.tool_results,
        _ => true,
    }
}
