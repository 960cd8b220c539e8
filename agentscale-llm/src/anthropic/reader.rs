use std::collections::HashMap;

use agentscale_core::llm::{CompletionEvent, FinishReason, Usage};
use agentscale_core::{Error, ErrorKind, Result};

use super::{error, wire};
use crate::decode::{self, Draft, EventReader, corrupt};
use crate::sse::SseEvent;
use block::OpenBlock;

mod block;

/// How many parts may be open at a time; the API opens one.
const MAX_OPEN_BLOCKS: usize = 1_024;

/// Reads the events of a message, or the whole of it.
#[derive(Debug, Default)]
pub(crate) struct MessageReader {
    /// The tool whose input is the answer's text.
    answer_tool: Option<String>,
    id: String,
    open: HashMap<u32, OpenBlock>,
    next_slot: u32,
    usage: wire::Usage,
    stop_reason: String,
    done: bool,
}

impl EventReader for MessageReader {
    fn read(
        &mut self,
        event: SseEvent<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        match decode::event(event.data) {
            Ok(event) => self.take(event, draft, events),
            Err(error) => self.pass_over(event.data).ok_or(error),
        }
    }

    fn is_done(&self, _: &Draft) -> bool {
        self.done
    }
}

impl MessageReader {
    /// Takes the input of the tool `name` for the answer's text.
    #[cfg(feature = "anthropic")]
    pub(super) fn with_answer_tool(mut self, name: Option<&str>) -> Self {
        self.answer_tool = name.map(str::to_owned);
        self
    }

    fn take(
        &mut self,
        event: wire::Event<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if self.done && event.kind.starts_with("message_") {
            return Err(corrupt("an event behind the end"));
        }
        match &*event.kind {
            "message_start" => self.start(*event.message.unwrap_or_default(), draft, events),
            "content_block_start" => {
                self.open_block(event.index, &event.content_block.unwrap_or_default(), draft, events)
            }
            "content_block_delta" => {
                let open = self.open.get_mut(&event.index).ok_or_else(|| corrupt("a delta of no part"))?;
                open.add(event.delta.unwrap_or_default(), draft, events)
            }
            "content_block_stop" => match self.open.remove(&event.index) {
                Some(open) => open.close(draft, events),
                None => Ok(()),
            },
            "message_delta" => {
                self.add_usage(event.usage, draft);
                self.stop(event.delta.and_then(|delta| delta.stop_reason).as_deref());
                Ok(())
            }
            "message_stop" => {
                self.end(draft);
                Ok(())
            }
            "error" => Err(error::from_answer(event.error.unwrap_or_default())),
            _ => Ok(()),
        }
    }

    /// An event, a part or a delta of a kind that this version does not know; `None` where it knows it.
    fn pass_over(&mut self, data: &[u8]) -> Option<()> {
        let event: wire::EventKind<'_> = serde_json::from_slice(data).ok()?;
        match &*event.kind {
            "content_block_start" => {
                let kind = wire::kind_of(event.content_block?)?;
                let index = event.index.map_or(Some(0), |index| index.get().parse().ok())?;
                if block::is_known(&kind) || self.open.len() >= MAX_OPEN_BLOCKS {
                    return None;
                }
                self.open.insert(index, OpenBlock::unknown());
            }
            "content_block_delta" if block::is_known_delta(&wire::kind_of(event.delta?)?) => return None,
            "" | "content_block_stop" | "error" | "message_start" | "message_delta" | "message_stop" => {
                return None;
            }
            _ => {}
        }
        Some(())
    }

    /// Some gateways repeat the beginning of an answer, and some that lost their connection go on with another answer.
    fn start(
        &mut self,
        message: wire::Message<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let id = message.id.as_deref().unwrap_or_default();
        if !self.id.is_empty() && self.id == id {
            self.add_usage(message.usage, draft);
            return Ok(());
        }
        if !self.id.is_empty() || self.next_slot > 0 {
            return Err(Error::new(ErrorKind::Unavailable, "read completion")
                .with_context("reason", "another answer began within this one"));
        }
        id.clone_into(&mut self.id);
        self.add(message, draft, events)
    }

    /// Takes a whole message in, or the beginning of one.
    pub(super) fn add(
        &mut self,
        message: wire::Message<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if let Some(fields) = message.error {
            return Err(error::from_answer(fields));
        }
        if let Some(model) = &message.model {
            draft.set_model(model);
        }
        self.add_usage(message.usage, draft);
        for block in &message.content {
            self.open_block(0, block, draft, events)?;
            if let Some(open) = self.open.remove(&0) {
                open.close(draft, events)?;
            }
        }
        self.stop(message.stop_reason.as_deref());
        Ok(())
    }

    fn open_block(
        &mut self,
        index: u32,
        block: &wire::Block<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if self.open.len() >= MAX_OPEN_BLOCKS {
            return Err(corrupt("too many open parts"));
        }
        let slot = self.next_slot;
        self.next_slot = slot.checked_add(1).ok_or_else(|| corrupt("too many parts"))?;
        let open = OpenBlock::open(slot, block, self.answer_tool.as_deref(), draft, events)?;
        self.open.insert(index, open);
        Ok(())
    }

    fn stop(&mut self, reason: Option<&str>) {
        if let Some(reason) = reason {
            reason.clone_into(&mut self.stop_reason);
        }
    }

    /// Nothing follows.
    pub(super) fn end(&mut self, draft: &mut Draft) {
        self.done = true;
        let reason = match self.stop_reason.as_str() {
            // A turn that the server paused is not whole either.
            "max_tokens" | "model_context_window_exceeded" | "pause_turn" => FinishReason::Length,
            "refusal" => {
                draft.refuse();
                FinishReason::ContentFilter
            }
            // The draft knows of the calls; one that was the answer's text is none.
            _ => FinishReason::Stop,
        };
        draft.end(reason);
    }

    /// Counts never fall: gateways leave out or put zero where they do not know.
    fn add_usage(&mut self, told: Option<wire::Usage>, draft: &mut Draft) {
        let Some(told) = told else { return };
        let all = &mut self.usage;
        all.input_tokens = all.input_tokens.max(told.input_tokens);
        all.cache_read_input_tokens = all.cache_read_input_tokens.max(told.cache_read_input_tokens);
        all.cache_creation_input_tokens =
            all.cache_creation_input_tokens.max(told.cache_creation_input_tokens);
        all.output_tokens = all.output_tokens.max(told.output_tokens);
        all.output_tokens_details = told.output_tokens_details.or(all.output_tokens_details);
        draft.set_usage(usage(all));
    }
}

/// Anthropic counts what the cache gave and took outside of the input tokens.
fn usage(told: &wire::Usage) -> Usage {
    let read = told.cache_read_input_tokens.unwrap_or(0);
    let written = told.cache_creation_input_tokens.unwrap_or(0);
    let input = told.input_tokens.unwrap_or(0).saturating_add(read).saturating_add(written);
    let thought = told.output_tokens_details.and_then(|details| details.thinking_tokens);
    Usage::new(input, told.output_tokens.unwrap_or(0))
        .with_cached(read)
        .with_cache_write(written)
        .with_reasoning(thought.unwrap_or(0))
}
