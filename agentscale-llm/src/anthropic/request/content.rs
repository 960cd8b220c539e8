use std::borrow::Cow;

use agentscale_core::llm::{CompletionRequest, Content, Image, Message, Reasoning, Role};
use serde::Deserialize;

use super::cache::Breakpoints;
use super::wire::{Block, CacheControl, InputMessage, Part, Source};
use crate::anthropic::API_NAME;

/// The messages as the API wants them: the host's texts apart, the others of two roles in turn.
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) messages: Vec<InputMessage<'a>>,
}

/// What went with a thought.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Signature(String),
    Data(String),
}

pub(super) fn conversation(request: &CompletionRequest) -> Conversation<'_> {
    let mut breakpoints = Breakpoints::of(request);
    let mut conversation = Conversation { system: Vec::new(), messages: Vec::new() };
    for message in &request.messages {
        let mut blocks = blocks(message);
        if message.cache_breakpoint
            && let Some(control) = breakpoints.next()
        {
            mark(&mut blocks, control);
        }
        conversation.add(message.role, blocks);
    }
    conversation
}

impl<'a> Conversation<'a> {
    fn add(&mut self, role: Role, mut blocks: Vec<Block<'a>>) {
        let role = match role {
            Role::System => return self.system.append(&mut blocks),
            Role::Assistant => "assistant",
            _ => "user",
        };
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.content.append(&mut blocks),
            _ if blocks.is_empty() => {}
            _ => self.messages.push(InputMessage { role, content: blocks }),
        }
    }
}

/// Results of tools come before what else a message says: they must follow their calls at once.
fn blocks(message: &Message) -> Vec<Block<'_>> {
    let is_result = |part: &&Content| matches!(part, Content::ToolResult { .. });
    let (results, others): (Vec<_>, Vec<_>) = message.content.iter().partition(is_result);
    let parts = results.into_iter().chain(others).filter_map(part);
    parts.map(|part| Block { part, cache_control: None }).collect()
}

/// An empty text is refused by the API, and thoughts that it did not sign are not its own.
fn part(content: &Content) -> Option<Part<'_>> {
    Some(match content {
        Content::Text { text } if text.is_empty() => return None,
        Content::Text { text } => Part::Text { text: Cow::Borrowed(text) },
        Content::Document { citation, text } => {
            Part::Text { text: Cow::Owned(format!("[{citation}]\n{text}")) }
        }
        Content::Image(image) => Part::Image { source: source(image)? },
        Content::Reasoning(reasoning) => return thought(reasoning),
        Content::ToolCall(call) => Part::ToolUse { id: &call.id, name: &call.name, input: &call.arguments },
        Content::ToolResult { call_id, text, failed } => {
            Part::ToolResult { tool_use_id: call_id, content: text, is_error: *failed }
        }
        _ => return None,
    })
}

fn source(image: &Image) -> Option<Source<'_>> {
    match image {
        Image::Url(url) => Some(Source::Url { url }),
        Image::Inline { media_type, base64 } => Some(Source::Base64 { media_type, data: base64 }),
        _ => None,
    }
}

fn thought(reasoning: &Reasoning) -> Option<Part<'_>> {
    let kept = reasoning.opaque_of(API_NAME)?.decode().ok()?;
    Some(match kept {
        Kept::Signature(signature) => Part::Thinking { thinking: &reasoning.text, signature },
        Kept::Data(data) => Part::RedactedThinking { data },
    })
}

/// Marks the last part that can be marked: a thought cannot.
fn mark(blocks: &mut [Block<'_>], control: CacheControl) {
    let is_thought = |part: &Part<'_>| matches!(part, Part::Thinking { .. } | Part::RedactedThinking { .. });
    if let Some(block) = blocks.iter_mut().rfind(|block| !is_thought(&block.part)) {
        block.cache_control = Some(control);
    }
}
