use std::collections::{BTreeMap, HashMap};

use agentscale_core::llm::{
    Completion, CompletionEvent, Content, FinishReason, Message, Role, ToolCall, Usage,
};
use agentscale_core::{Error, ErrorKind, Json, Result};

use super::wire;

/// The longest answer that is kept in memory, text and arguments together: 32 MiB.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;

/// What a call takes of [`MAX_ANSWER_BYTES`] beyond its texts, so that empty calls are bounded too.
const CALL_BYTES: usize = 128;

/// An answer as far as it has come, whole or in chunks.
#[derive(Debug, Default)]
pub(super) struct Draft {
    model: String,
    text: String,
    refused: bool,
    calls: BTreeMap<u32, CallDraft>,
    /// The call that the fragments of an index belong to: some servers give every call the same index, or none.
    open: HashMap<Option<u32>, u32>,
    finish_reason: Option<FinishReason>,
    usage: Usage,
    bytes: usize,
}

#[derive(Debug, Default)]
struct CallDraft {
    id: String,
    name: String,
    arguments: String,
}

impl Draft {
    /// Takes one body or chunk in, and adds what is new to `events`.
    pub(super) fn add(
        &mut self,
        response: wire::ChatResponse,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if let Some(model) = response.model.filter(|model| !model.is_empty()) {
            self.model = model;
        }
        if let Some(usage) = response.usage {
            self.usage = self::usage(&usage);
        }
        for choice in response.choices.into_iter().flatten().filter(|choice| choice.index.unwrap_or(0) == 0) {
            self.add_choice(choice, events)?;
        }
        Ok(())
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// The whole answer, once its finish reason has come.
    pub(super) fn finish(self, asked_model: &str) -> Result<Completion> {
        let Some(reason) = self.finish_reason else {
            return Err(Error::new(ErrorKind::Unavailable, "read completion")
                .with_context("reason", "ended without a finish reason")
                .with_context("text_bytes", self.text.len()));
        };
        if self.refused && self.text.is_empty() && self.calls.is_empty() {
            return Err(Error::new(ErrorKind::ContentRefused, "read completion"));
        }
        let reason = match reason {
            FinishReason::Stop if !self.calls.is_empty() => FinishReason::ToolCalls,
            reason => reason,
        };
        let mut content = Vec::new();
        if !self.text.is_empty() || self.calls.is_empty() {
            content.push(Content::Text { text: self.text });
        }
        for (place, call) in self.calls {
            content.push(Content::ToolCall(call.finish(place)?));
        }
        let model = if self.model.is_empty() { asked_model.to_owned() } else { self.model };
        Ok(Completion::new(Message::new(Role::Assistant, content), reason, self.usage, model))
    }

    fn add_choice(&mut self, choice: wire::Choice, events: &mut Vec<CompletionEvent>) -> Result<()> {
        let delta = choice.delta.or(choice.message).unwrap_or_default();
        if let Some(text) = delta.content.filter(|text| !text.is_empty()) {
            self.make_room(text.len())?;
            self.text.push_str(&text);
            events.push(CompletionEvent::Text(text));
        }
        self.refused |= delta.refusal.is_some_and(|refusal| !refusal.is_empty());
        for part in delta.tool_calls.into_iter().flatten() {
            self.add_call_part(part, events)?;
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            self.finish_reason = Some(finish_reason(&reason));
        }
        Ok(())
    }

    fn add_call_part(&mut self, part: wire::ToolCallPart, events: &mut Vec<CompletionEvent>) -> Result<()> {
        let id = part.id.unwrap_or_default();
        let function = part.function.unwrap_or_default();
        let fragment = function.arguments.unwrap_or_default();
        let place = self.place(part.index, &id);
        self.make_room(fragment.len())?;
        if !self.calls.contains_key(&place) {
            self.make_room(CALL_BYTES)?;
        }
        let call = self.calls.entry(place).or_default();
        if call.id.is_empty() {
            call.id = id;
        }
        // Some servers repeat the name in every fragment.
        if call.name.is_empty() {
            call.name = function.name.unwrap_or_default();
        }
        if !fragment.is_empty() {
            call.arguments.push_str(&fragment);
            events.push(CompletionEvent::ToolArguments { index: place, fragment });
        }
        Ok(())
    }

    /// Where a fragment belongs: with the call of its index, unless its id is that of another call.
    fn place(&mut self, index: Option<u32>, id: &str) -> u32 {
        let is_other = |call: &CallDraft| !id.is_empty() && !call.id.is_empty() && call.id != id;
        if let Some(place) = self.open.get(&index)
            && !self.calls.get(place).is_some_and(is_other)
        {
            return *place;
        }
        let behind_last = || self.calls.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        let place = index.filter(|index| !self.calls.contains_key(index)).unwrap_or_else(behind_last);
        self.open.insert(index, place);
        place
    }

    fn make_room(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        if self.bytes > MAX_ANSWER_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "read completion")
                .with_context("limit_bytes", MAX_ANSWER_BYTES));
        }
        Ok(())
    }
}

impl CallDraft {
    fn finish(self, place: u32) -> Result<ToolCall> {
        let corrupt = |reason: &'static str| {
            Error::new(ErrorKind::Corrupt, "read tool call")
                .with_context("reason", reason)
                .with_context("index", place)
        };
        if self.name.is_empty() {
            return Err(corrupt("no name"));
        }
        let text = if self.arguments.trim().is_empty() { "{}".to_owned() } else { self.arguments };
        // The parser's error is left out: it may quote the arguments.
        let arguments = Json::parse(text).map_err(|_| corrupt("the arguments are no json"))?;
        let id = if self.id.is_empty() { format!("call_{place}") } else { self.id };
        Ok(ToolCall::new(id, self.name, arguments))
    }
}

/// A reason that this version does not know ended the answer as any other: it counts as `stop`.
fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "length" | "max_tokens" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

pub(super) fn usage(usage: &wire::Usage) -> Usage {
    let cached = usage.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
    Usage::new(usage.prompt_tokens.unwrap_or(0), usage.completion_tokens.unwrap_or(0))
        .with_cached(cached.unwrap_or(0))
}
