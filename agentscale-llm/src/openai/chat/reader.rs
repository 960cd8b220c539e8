use std::collections::HashMap;

use agentscale_core::llm::{CompletionEvent, FinishReason, Usage};
use agentscale_core::{Json, Result};

use super::{API_NAME, THOUGHT_FIELDS, wire};
use crate::decode::{self, CallDraft, Draft, EventReader, corrupt};
use crate::openai::error;
use crate::sse::SseEvent;

/// Reads the chunks of a chat completion, or its whole body.
#[derive(Debug, Default)]
pub(crate) struct ChatReader {
    places: Places,
    /// Under which name the server tells what the model thinks.
    thought_field: Option<&'static str>,
    done: bool,
}

/// The slots of an answer: what it thinks, what it says, its calls.
const REASONING: u32 = 0;
const TEXT: u32 = 1;
const FIRST_CALL: u32 = 2;

impl EventReader for ChatReader {
    fn read(
        &mut self,
        event: SseEvent<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if event.data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        if self.done {
            return Err(corrupt("an event behind the end"));
        }
        if event.name == "error" {
            return Err(error::from_body(None, event.data));
        }
        self.add(decode::event(event.data)?, draft, events)
    }

    fn is_done(&self, _: &Draft) -> bool {
        self.done
    }
}

impl ChatReader {
    /// Takes one body or chunk in.
    pub(crate) fn add(
        &mut self,
        response: wire::ChatResponse<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if let Some(body) = response.error {
            return Err(error::from_stream(body));
        }
        if let Some(model) = &response.model {
            draft.set_model(model);
        }
        if let Some(told) = response.usage {
            draft.set_usage(usage(&told));
        }
        for choice in response.choices.into_iter().flatten().filter(|choice| choice.index.unwrap_or(0) == 0) {
            self.add_choice(choice, draft, events)?;
        }
        Ok(())
    }

    fn add_choice(
        &mut self,
        choice: wire::Choice<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let delta = choice.delta.or(choice.message.map(|message| numbered(*message))).unwrap_or_default();
        for (thought, field) in [delta.reasoning_content, delta.reasoning].into_iter().zip(THOUGHT_FIELDS) {
            if let Some(thought) = thought.filter(|thought| !thought.is_empty()) {
                self.add_thought(thought.into_string(), field, draft, events)?;
            }
        }
        if let Some(text) = delta.content {
            draft.add_text(TEXT, text.into_string(), events)?;
        }
        if delta.refusal.is_some_and(|refusal| !refusal.is_empty()) {
            draft.refuse();
        }
        for part in delta.tool_calls.into_iter().flatten() {
            self.add_call_part(part, draft, events)?;
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            draft.end(finish_reason(&reason));
        }
        Ok(())
    }

    /// What was told under one name is not told again under the other, as some servers do.
    fn add_thought(
        &mut self,
        thought: String,
        field: &'static str,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        match self.thought_field {
            Some(told_as) if told_as != field => return Ok(()),
            Some(_) => {}
            None => {
                self.thought_field = Some(field);
                // A server may want it back under its own name.
                draft.keep_opaque(REASONING, API_NAME, Json::encode(field)?)?;
            }
        }
        draft.add_reasoning(REASONING, thought, events)
    }

    fn add_call_part(
        &mut self,
        part: wire::ToolCallPart<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let id = part.id.unwrap_or_default();
        let function = part.function.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let place = self.places.of(part.index, &id, &name, draft);
        let slot = slot(place);
        draft.call(slot, place)?;
        // Some servers repeat the name in every fragment.
        draft.name_call(slot, &id, &name, events)?;
        let fragment = function.arguments.unwrap_or_default().into_string();
        draft.add_arguments(slot, fragment, events)
    }
}

/// The call that the fragments of an index belong to: some servers give every call the same index, or none.
#[derive(Debug, Default)]
struct Places {
    open: HashMap<Option<u32>, u32>,
}

impl Places {
    /// Where a fragment belongs: with the call of its index, unless it begins another one. A name begins one, beside
    /// another id or in the place of another name; an id alone does not, as some servers make a new one each time.
    fn of(&mut self, index: Option<u32>, id: &str, name: &str, draft: &Draft) -> u32 {
        let call = |place: u32| draft.find_call(slot(place));
        let differs = |told: &str, kept: &str| !told.is_empty() && !kept.is_empty() && told != kept;
        let begins =
            |open: &CallDraft| !name.is_empty() && (differs(id, &open.id) || differs(name, &open.name));
        if let Some(place) = self.open.get(&index)
            && !call(*place).is_some_and(begins)
        {
            return *place;
        }
        let behind_last = || match draft.last_slot() {
            Some(last) if last >= FIRST_CALL => (last - FIRST_CALL).saturating_add(1),
            _ => 0,
        };
        let place = index.filter(|index| call(*index).is_none()).unwrap_or_else(behind_last);
        self.open.insert(index, place);
        place
    }
}

/// Calls that come whole carry no index.
fn numbered(mut message: wire::Delta<'_>) -> wire::Delta<'_> {
    for (index, call) in (0..).zip(message.tool_calls.iter_mut().flatten()) {
        call.index = Some(index);
    }
    message
}

fn slot(place: u32) -> u32 {
    place.saturating_add(FIRST_CALL)
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

pub(crate) fn usage(usage: &wire::Usage) -> Usage {
    let prompt = usage.prompt_tokens_details.clone().unwrap_or_default();
    let reasoning = usage.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens);
    Usage::new(usage.prompt_tokens.unwrap_or(0), usage.completion_tokens.unwrap_or(0))
        .with_cached(prompt.cached_tokens.unwrap_or(0))
        .with_cache_write(prompt.cache_write_tokens.unwrap_or(0))
        .with_reasoning(reasoning.unwrap_or(0))
}
