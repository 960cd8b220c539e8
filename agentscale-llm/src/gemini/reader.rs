use agentscale_core::llm::{CompletionEvent, FinishReason};
use agentscale_core::{Json, Result};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{API_NAME, error, wire};
use crate::decode::{self, Draft, EventReader, corrupt};
use crate::sse::SseEvent;
use finish::{end, usage};
use partial_args::PartialArgs;

mod finish;
mod partial_args;

/// Reads the chunks of an answer, or the whole of it.
#[derive(Debug, Default)]
pub(crate) struct GenerateReader {
    next_slot: u32,
    /// The part that more text may belong to.
    speaking: Option<Speaking>,
    /// The call whose arguments come piece by piece.
    open: Option<OpenCall>,
    usage: wire::Usage,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Speaking {
    Text(u32),
    Thought(u32),
}

#[derive(Debug)]
struct OpenCall {
    slot: u32,
    arguments: PartialArgs,
}

/// What goes back with a thought or a text.
#[derive(Serialize)]
struct Kept<'a> {
    signature: &'a str,
}

impl EventReader for GenerateReader {
    fn read(
        &mut self,
        event: SseEvent<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        // The API sends none, but gateways do.
        if event.data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        self.add_body(event.data, draft, events)
    }

    /// The stream has no last event: usage may come behind the reason why the answer ended.
    fn is_done(&self, _: &Draft) -> bool {
        false
    }
}

impl GenerateReader {
    /// Takes a body in: an answer, or the list of its chunks, which the API sends where no events are asked for.
    pub(super) fn add_body(
        &mut self,
        body: &[u8],
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if !body.trim_ascii_start().starts_with(b"[") {
            return self.add(decode::event(body)?, draft, events);
        }
        let chunks: Vec<&RawValue> =
            serde_json::from_slice(body).map_err(|_| corrupt("no json of this api"))?;
        chunks
            .into_iter()
            .try_for_each(|chunk| self.add(decode::event(chunk.get().as_bytes())?, draft, events))
    }

    fn add(
        &mut self,
        answer: wire::Answer<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if let Some(fields) = answer.error {
            return Err(error::from_answer(fields));
        }
        if let Some(model) = &answer.model_version {
            draft.set_model(model);
        }
        self.add_usage(answer.usage_metadata, draft);
        if answer.prompt_feedback.and_then(|feedback| feedback.block_reason).is_some() {
            draft.refuse();
            draft.end(FinishReason::ContentFilter);
        }
        let first = |candidate: &wire::Candidate<'_>| candidate.index.unwrap_or(0) == 0;
        for candidate in answer.candidates.into_iter().flatten().filter(first) {
            for part in candidate.content.and_then(|content| content.parts).into_iter().flatten() {
                self.add_part(part, draft, events)?;
            }
            if let Some(reason) = candidate.finish_reason {
                self.close(draft, events)?;
                end(&reason, draft)?;
            }
        }
        Ok(())
    }

    fn add_part(
        &mut self,
        part: wire::Part<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let signature = part.thought_signature.as_deref().unwrap_or_default();
        if let Some(call) = part.function_call {
            self.speaking = None;
            return self.add_call(call, signature, draft, events);
        }
        let text = part.text.map(decode::Text::into_string).unwrap_or_default();
        let is_thought = part.thought == Some(true);
        if !text.is_empty() {
            match self.speak(is_thought)? {
                Speaking::Text(slot) => draft.add_text(slot, text, events)?,
                Speaking::Thought(slot) => draft.add_reasoning(slot, text, events)?,
            }
        }
        if !signature.is_empty() {
            let slot = match self.speaking {
                Some(Speaking::Thought(slot)) if is_thought => slot,
                // The signature of a text stands behind it, as the API itself sends it in streams.
                _ => self.new_slot()?,
            };
            draft.keep_opaque(slot, API_NAME, Json::encode(&Kept { signature })?)?;
            self.speaking = None;
        }
        Ok(())
    }

    fn speak(&mut self, is_thought: bool) -> Result<Speaking> {
        let speaking = match self.speaking {
            Some(speaking) if matches!(speaking, Speaking::Thought(_)) == is_thought => speaking,
            _ if is_thought => Speaking::Thought(self.new_slot()?),
            _ => Speaking::Text(self.new_slot()?),
        };
        self.speaking = Some(speaking);
        Ok(speaking)
    }

    fn add_call(
        &mut self,
        told: wire::FunctionCall<'_>,
        signature: &str,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if let Some(name) = told.name.as_deref().filter(|name| !name.is_empty()) {
            self.close(draft, events)?;
            let slot = self.new_slot()?;
            draft.call(slot, draft.calls())?;
            if !signature.is_empty() {
                draft.sign_call(slot, signature)?;
            }
            draft.name_call(slot, told.id.as_deref().unwrap_or_default(), name, events)?;
            draft.start_call(slot, events)?;
            draft.add_arguments(
                slot,
                told.args.map(|args| args.get().to_owned()).unwrap_or_default(),
                events,
            )?;
            if told.args.is_none() {
                self.open = Some(OpenCall { slot, arguments: PartialArgs::default() });
            }
        }
        for piece in told.partial_args.into_iter().flatten() {
            let open = self.open.as_mut().ok_or_else(|| corrupt("arguments of no call"))?;
            open.arguments.add(piece)?;
        }
        if told.will_continue != Some(true) {
            self.close(draft, events)?;
        }
        Ok(())
    }

    /// Nothing more comes of the open call.
    fn close(&mut self, draft: &mut Draft, events: &mut Vec<CompletionEvent>) -> Result<()> {
        match self.open.take() {
            Some(open) => draft.add_arguments(open.slot, open.arguments.into_json(), events),
            None => Ok(()),
        }
    }

    fn new_slot(&mut self) -> Result<u32> {
        let slot = self.next_slot;
        self.next_slot = slot.checked_add(1).ok_or_else(|| corrupt("too many parts"))?;
        Ok(slot)
    }

    fn add_usage(&mut self, told: Option<wire::Usage>, draft: &mut Draft) {
        let Some(told) = told else { return };
        let all = &mut self.usage;
        all.prompt_token_count = told.prompt_token_count.or(all.prompt_token_count);
        all.cached_content_token_count = told.cached_content_token_count.or(all.cached_content_token_count);
        all.candidates_token_count = told.candidates_token_count.or(all.candidates_token_count);
        all.thoughts_token_count = told.thoughts_token_count.or(all.thoughts_token_count);
        all.tool_use_prompt_token_count =
            told.tool_use_prompt_token_count.or(all.tool_use_prompt_token_count);
        draft.set_usage(usage(all));
    }
}
