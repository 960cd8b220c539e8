use agentscale_core::llm::{CompletionEvent, FinishReason, Usage};
use agentscale_core::{Error, Result};

use super::wire;
use crate::decode::{self, Draft, EventReader, corrupt};
use crate::openai::error;
use crate::sse::SseEvent;
use item::Items;

mod item;

/// Reads the events of a response, or the whole of it.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    items: Items,
    /// An `error` event has come: `response.failed` may follow, which tells the usage.
    failing: Option<Error>,
    done: bool,
}

impl EventReader for ResponseReader {
    fn read(
        &mut self,
        event: SseEvent<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        // Some servers end this stream as they end a chat completion's.
        if event.data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let parsed: wire::Event<'_> = match decode::event(event.data) {
            Ok(parsed) => parsed,
            Err(error) => return self.pass_over(event).ok_or(error),
        };
        let kind = parsed.kind.clone().unwrap_or_default();
        let kind = if kind.is_empty() { event.name } else { &kind };
        if self.done && is_known(kind) {
            return Err(corrupt("an event behind the end"));
        }
        if kind == "error" || (kind.is_empty() && parsed.error.is_some()) {
            self.fail(error::from_event(event.data), draft);
            return Ok(());
        }
        self.take(kind, parsed, draft, events)
    }

    fn is_done(&self, _: &Draft) -> bool {
        self.done
    }
}

impl ResponseReader {
    fn take(
        &mut self,
        kind: &str,
        event: wire::Event<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let at = self.items.slot(event.output_index, event.item_id.as_deref());
        let delta = event.delta.unwrap_or_default();
        match kind {
            "response.output_text.delta" => draft.add_text(at, delta.into_string(), events),
            "response.function_call_arguments.delta" => {
                self.items.call(at, draft)?;
                draft.add_arguments(at, delta.into_string(), events)
            }
            "response.reasoning_summary_text.delta" => {
                self.items.add_summary(at, event.summary_index, &delta, draft, events)
            }
            "response.reasoning_text.delta" => draft.add_reasoning(at, delta.into_string(), events),
            "response.refusal.delta" => {
                draft.refuse();
                Ok(())
            }
            "response.output_text.done" => {
                self.items.add_missing_text(at, event.text.unwrap_or_default(), draft, events)
            }
            "response.function_call_arguments.done" => {
                self.items.add_missing_arguments(at, event.arguments.unwrap_or_default(), draft, events)
            }
            "response.output_item.added" => match event.item {
                Some(item) => {
                    let at = self.items.slot_of_item(event.output_index, item, true)?;
                    self.items.begin(at, item, draft, events)
                }
                None => Ok(()),
            },
            "response.output_item.done" => match event.item {
                Some(item) => {
                    let at = self.items.slot_of_item(event.output_index, item, false)?;
                    self.items.end(at, item, draft, events)
                }
                None => Ok(()),
            },
            "response.created" | "response.in_progress" | "response.queued" => {
                tell(&event.response.unwrap_or_default(), draft);
                Ok(())
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.finish(kind, *event.response.unwrap_or_default(), draft, events)
            }
            _ => Ok(()),
        }
    }

    /// Takes a whole response in; its status says what the last event of a stream would.
    #[cfg(feature = "openai")]
    pub(super) fn add(
        &mut self,
        response: wire::Response<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let status = response.status.clone().unwrap_or_default();
        let kind = match &*status {
            "completed" => "response.completed",
            "incomplete" => "response.incomplete",
            "failed" => "response.failed",
            _ if response.error.is_some() => "response.failed",
            _ => {
                tell(&response, draft);
                return Ok(());
            }
        };
        self.finish(kind, response, draft, events)
    }

    fn finish(
        &mut self,
        kind: &str,
        response: wire::Response<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        tell(&response, draft);
        for (at, item) in (0..).zip(response.output.into_iter().flatten()) {
            let at = self.items.slot_in_list(at, item)?;
            self.items.end(at, item, draft, events)?;
        }
        if kind == "response.failed" {
            let body = response.error;
            let failed = self.failing.take().or_else(|| body.map(error::from_stream));
            return Err(failed.unwrap_or_else(|| error::from_stream(Default::default())));
        }
        let reason = response.incomplete_details.and_then(|details| details.reason).unwrap_or_default();
        draft.end(match (kind, &*reason) {
            ("response.completed", _) => FinishReason::Stop,
            (_, "content_filter") => FinishReason::ContentFilter,
            _ => FinishReason::Length,
        });
        self.done = true;
        Ok(())
    }

    fn fail(&mut self, error: Error, draft: &mut Draft) {
        if self.failing.is_none() {
            draft.fail(error.clone());
            self.failing = Some(error);
        }
    }

    /// An event of a kind that this version does not know; `None` where it knows it.
    fn pass_over(&self, event: SseEvent<'_>) -> Option<()> {
        let parsed: wire::EventKind<'_> = serde_json::from_slice(event.data).ok()?;
        let kind = parsed.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or(event.name);
        (!kind.is_empty() && !is_known(kind)).then_some(())
    }
}

fn is_known(kind: &str) -> bool {
    let Some(name) = kind.strip_prefix("response.") else {
        return kind == "error";
    };
    matches!(
        name,
        "output_text.delta"
            | "function_call_arguments.delta"
            | "reasoning_summary_text.delta"
            | "reasoning_text.delta"
            | "refusal.delta"
            | "output_text.done"
            | "function_call_arguments.done"
            | "output_item.added"
            | "output_item.done"
            | "created"
            | "in_progress"
            | "queued"
            | "completed"
            | "incomplete"
            | "failed"
    )
}

fn tell(response: &wire::Response<'_>, draft: &mut Draft) {
    if let Some(model) = &response.model {
        draft.set_model(model);
    }
    if let Some(told) = &response.usage {
        draft.set_usage(usage(told));
    }
}

fn usage(told: &wire::Usage) -> Usage {
    let input = told.input_tokens_details.unwrap_or_default();
    let reasoning = told.output_tokens_details.and_then(|details| details.reasoning_tokens);
    Usage::new(told.input_tokens.unwrap_or(0), told.output_tokens.unwrap_or(0))
        .with_cached(input.cached_tokens.unwrap_or(0))
        .with_cache_write(input.cache_write_tokens.unwrap_or(0))
        .with_reasoning(reasoning.unwrap_or(0))
}
