use agentscale_core::llm::{CompletionEvent, FinishReason, Usage};
use agentscale_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;

use super::{error, wire};
use crate::decode::{self, Draft, EventReader, Text, corrupt};
use crate::sse::SseEvent;

/// Reads the lines of an answer, or the whole of it.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    /// The tool whose arguments are the answer's text.
    demanded: Option<String>,
    done: bool,
}

/// The slots of an answer: what it thinks, what it says, its calls.
const REASONING: u32 = 0;
const TEXT: u32 = 1;
const FIRST_CALL: u32 = 2;

impl EventReader for LineReader {
    fn read(
        &mut self,
        line: SseEvent<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if self.done {
            return Err(corrupt("an event behind the end"));
        }
        self.add(decode::event(line.data)?, draft, events)
    }

    fn is_done(&self, _: &Draft) -> bool {
        self.done
    }
}

impl LineReader {
    /// Takes the answer's text for the arguments of a call of the tool `name`.
    #[cfg(feature = "ollama")]
    pub(super) fn with_demanded_tool(mut self, name: Option<&str>) -> Self {
        self.demanded = name.map(str::to_owned);
        self
    }

    /// Takes one body or line in.
    pub(super) fn add(
        &mut self,
        line: wire::Line<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if let Some(body) = line.error {
            return Err(error::from_answer(body));
        }
        if let Some(model) = &line.model {
            draft.set_model(model);
        }
        if line.prompt_eval_count.is_some() || line.eval_count.is_some() {
            draft.set_usage(Usage::new(line.prompt_eval_count.unwrap_or(0), line.eval_count.unwrap_or(0)));
        }
        let message = line.message.unwrap_or_default();
        draft.add_reasoning(REASONING, message.thinking.unwrap_or_default().into_string(), events)?;
        self.add_text(message.content.unwrap_or_default(), draft, events)?;
        for call in message.tool_calls.into_iter().flatten() {
            add_call(call, draft, events)?;
        }
        match line.done {
            Some(true) => self.end(&line.done_reason.unwrap_or_default(), draft),
            _ => Ok(()),
        }
    }

    fn add_text(&self, text: Text<'_>, draft: &mut Draft, events: &mut Vec<CompletionEvent>) -> Result<()> {
        let Some(name) = self.demanded.as_deref().filter(|_| !text.is_empty()) else {
            return draft.add_text(TEXT, text.into_string(), events);
        };
        draft.call(FIRST_CALL, 0)?;
        draft.name_call(FIRST_CALL, "", name, events)?;
        draft.add_arguments(FIRST_CALL, text.into_string(), events)
    }

    fn end(&mut self, reason: &str, draft: &mut Draft) -> Result<()> {
        draft.end(match reason {
            "length" => FinishReason::Length,
            // A model that was only loaded, or unloaded, has answered nothing.
            "load" | "unload" if draft.last_slot().is_none() => {
                let error = Error::new(ErrorKind::Unavailable, error::OPERATION);
                return Err(error.with_context("reason", "the model was loaded and did not answer"));
            }
            _ => FinishReason::Stop,
        });
        self.done = true;
        Ok(())
    }
}

/// Calls come whole.
fn add_call(call: wire::ToolCall<'_>, draft: &mut Draft, events: &mut Vec<CompletionEvent>) -> Result<()> {
    let slot = draft.last_slot().map_or(FIRST_CALL, |last| last.saturating_add(1).max(FIRST_CALL));
    let function = call.function.unwrap_or_default();
    draft.call(slot, draft.calls())?;
    draft.name_call(slot, &call.id.unwrap_or_default(), &function.name.unwrap_or_default(), events)?;
    draft.start_call(slot, events)?;
    draft.add_arguments(slot, arguments(function.arguments), events)
}

/// An object; some servers put its text into a string.
fn arguments(told: Option<&RawValue>) -> String {
    match told.map(RawValue::get) {
        None | Some("null") => String::new(),
        Some(text) if text.starts_with('"') => serde_json::from_str(text).unwrap_or_default(),
        Some(text) => text.to_owned(),
    }
}
