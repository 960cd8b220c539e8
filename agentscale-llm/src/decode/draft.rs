use std::collections::BTreeMap;

use agentscale_core::llm::{
    Completion, CompletionEvent, Content, FinishReason, Message, PartialAnswer, Reasoning, Role, Usage,
};
use agentscale_core::{Error, ErrorKind, Json, Result};

use super::MAX_ANSWER_BYTES;
pub(crate) use call::{CallDraft, OWN_ID};

mod call;

/// What a part takes of [`MAX_ANSWER_BYTES`] beyond its texts, so that empty parts are bounded too.
const PART_BYTES: usize = 128;

/// An answer as far as it has come, whole or in events: parts in the order of their slots.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    model: String,
    /// In boxes: a tree has room for eleven from its first on, and most answers are of one part.
    parts: BTreeMap<u32, Box<Part>>,
    finish_reason: Option<FinishReason>,
    usage: Usage,
    refused: bool,
    failed: Option<Error>,
    bytes: usize,
    calls: u32,
    /// The number of the first call that the API gives no id.
    first_call: u32,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Reasoning(Reasoning),
    Call(CallDraft),
}

impl Draft {
    /// An answer to a conversation: calls without an id get one that is new in it.
    #[cfg(any(feature = "gemini", feature = "ollama", feature = "openai"))]
    pub(crate) fn answering(messages: &[Message]) -> Self {
        let calls = messages.iter().flat_map(Message::tool_calls);
        let numbers = calls.filter_map(|call| call.id.strip_prefix(OWN_ID)?.parse::<u32>().ok());
        Self { first_call: numbers.max().map_or(0, |last| last.saturating_add(1)), ..Self::default() }
    }

    pub(crate) fn set_model(&mut self, model: &str) {
        if !model.is_empty() && self.model != model {
            model.clone_into(&mut self.model);
        }
    }

    pub(crate) fn set_usage(&mut self, usage: Usage) {
        self.usage = usage;
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    /// The model, or its provider, refused to answer.
    pub(crate) fn refuse(&mut self) {
        self.refused = true;
    }

    /// The server has told an error, behind which more may come.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failed = Some(error);
    }

    /// The terminal event has come.
    pub(crate) fn end(&mut self, reason: FinishReason) {
        self.finish_reason = Some(reason);
    }

    pub(crate) fn add_text(
        &mut self,
        slot: u32,
        text: String,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        match self.part(slot, || Part::Text(String::new()), text.len())? {
            Part::Text(whole) => whole.push_str(&text),
            _ => return Err(mixed(slot)),
        }
        events.push(CompletionEvent::Text(text));
        Ok(())
    }

    pub(crate) fn add_reasoning(
        &mut self,
        slot: u32,
        text: String,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.reasoning(slot, text.len())?.text.push_str(&text);
        events.push(CompletionEvent::Reasoning(text));
        Ok(())
    }

    /// What the API `api` wants back with the reasoning of a slot, in the place of what it gave before.
    pub(crate) fn keep_opaque(&mut self, slot: u32, api: &str, content: Json) -> Result<()> {
        let bytes = content.as_str().len();
        let reasoning = self.reasoning(slot, bytes)?;
        *reasoning = std::mem::take(reasoning).with_opaque(api, content);
        Ok(())
    }

    /// The call of a slot; where there was none an empty one, the `index`-th of the answer.
    pub(crate) fn call(&mut self, slot: u32, index: u32) -> Result<()> {
        let is_new = !self.has(slot);
        let new = || Part::Call(CallDraft::at(index));
        match self.part(slot, new, 0)? {
            Part::Call(_) => {
                self.calls += u32::from(is_new);
                Ok(())
            }
            _ => Err(mixed(slot)),
        }
    }

    /// Names the call of a slot as far as it has no id or no name yet; there is none without [`call`](Self::call).
    /// Once it has both it has started.
    pub(crate) fn name_call(
        &mut self,
        slot: u32,
        id: &str,
        name: &str,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let first_call = self.first_call;
        let call = self.call_mut(slot)?;
        let mut bytes = 0;
        for (kept, told) in [(&mut call.id, id), (&mut call.name, name)] {
            if kept.is_empty() {
                kept.push_str(told);
                bytes += told.len();
            }
        }
        if !call.id.is_empty() || call.has_arguments() {
            call.start(first_call, events);
        }
        self.make_room(bytes)
    }

    /// The call of a slot has started, for APIs that tell no id behind the name.
    pub(crate) fn start_call(&mut self, slot: u32, events: &mut Vec<CompletionEvent>) -> Result<()> {
        let first_call = self.first_call;
        self.call_mut(slot)?.start(first_call, events);
        Ok(())
    }

    /// Keeps what the API wants back with the call of a slot, which has not started yet.
    pub(crate) fn sign_call(&mut self, slot: u32, signature: &str) -> Result<()> {
        self.call_mut(slot)?.signature = Some(signature.to_owned());
        self.make_room(signature.len())
    }

    /// The call of a slot that is there already.
    pub(crate) fn find_call(&self, slot: u32) -> Option<&CallDraft> {
        match self.parts.get(&slot).map(|part| &**part) {
            Some(Part::Call(call)) => Some(call),
            _ => None,
        }
    }

    /// Adds to the arguments of a slot's call; there is none without [`call`](Self::call).
    pub(crate) fn add_arguments(
        &mut self,
        slot: u32,
        fragment: String,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if fragment.is_empty() {
            return Ok(());
        }
        self.make_room(fragment.len())?;
        let first_call = self.first_call;
        let call = self.call_mut(slot)?;
        call.start(first_call, events);
        call.arguments.push_str(&fragment);
        // What comes before the name is told once that has come.
        if call.has_started() {
            events.push(CompletionEvent::ToolArguments { index: call.index, fragment });
        }
        Ok(())
    }

    /// Whether anything stands in a slot.
    pub(crate) fn has(&self, slot: u32) -> bool {
        self.parts.contains_key(&slot)
    }

    /// The last slot, for APIs whose parts have no numbers.
    pub(crate) fn last_slot(&self) -> Option<u32> {
        self.parts.last_key_value().map(|(slot, _)| *slot)
    }

    /// How many calls there are.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// What has come, without the calls that are not whole.
    pub(crate) fn partial(&self, asked_model: &str) -> PartialAnswer {
        let parts = self.parts.values().filter_map(|part| match &**part {
            Part::Text(text) => Some(Content::Text { text: text.clone() }),
            Part::Reasoning(reasoning) => Some(Content::Reasoning(reasoning.clone())),
            // Arguments of which nothing has come yet are not known to be none.
            Part::Call(call) if self.may_be_cut(call) => None,
            Part::Call(call) => call.finish(self.first_call).ok().map(Content::ToolCall),
        });
        let message = Message::new(Role::Assistant, parts.collect());
        PartialAnswer::new(message, self.usage, self.model_or(asked_model))
    }

    /// The answer of a body that came in one piece. One that tells nothing of an answer is none of this API.
    #[cfg(any(feature = "anthropic", feature = "gemini", feature = "ollama", feature = "openai"))]
    pub(crate) fn finish_body(
        self,
        asked_model: &str,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<Completion> {
        let ends = self.failed.is_some() || self.finish_reason.is_some() || self.refused;
        let begins = !self.parts.is_empty() || !self.model.is_empty() || self.usage != Usage::default();
        if !begins && !ends {
            return Err(super::corrupt("no answer in the body"));
        }
        self.finish(asked_model, events)
    }

    /// The whole answer, once its terminal event has come. Calls of which no id and no arguments came start here.
    pub(crate) fn finish(
        mut self,
        asked_model: &str,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<Completion> {
        match self.check() {
            Ok((reason, content)) => {
                for part in self.parts.values_mut() {
                    if let Part::Call(call) = &mut **part {
                        call.start(self.first_call, events);
                    }
                }
                let message = Message::new(Role::Assistant, content);
                Ok(Completion::new(message, reason, self.usage, self.model_or(asked_model)))
            }
            Err(error) => Err(self.partial(asked_model).behind(error)),
        }
    }

    fn check(&self) -> Result<(FinishReason, Vec<Content>)> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let Some(reason) = self.finish_reason else {
            return Err(Error::new(ErrorKind::Unavailable, "read completion")
                .with_context("reason", "ended without its terminal event"));
        };
        let says_nothing = self.parts.values().all(|part| matches!(**part, Part::Reasoning(_)));
        if self.refused && says_nothing {
            return Err(Error::new(ErrorKind::ContentRefused, "read completion"));
        }
        let reason = match reason {
            FinishReason::Stop if self.refused => FinishReason::ContentFilter,
            FinishReason::Stop if self.calls > 0 => FinishReason::ToolCalls,
            reason => reason,
        };
        let mut content = Vec::with_capacity(self.parts.len().max(1));
        for part in self.parts.values() {
            content.push(match &**part {
                Part::Text(text) => Content::Text { text: text.clone() },
                Part::Reasoning(reasoning) => Content::Reasoning(reasoning.clone()),
                Part::Call(call) if self.may_be_cut(call) => {
                    return Err(call.corrupt("the answer was cut before the arguments"));
                }
                Part::Call(call) => Content::ToolCall(call.finish(self.first_call)?),
            });
        }
        if says_nothing {
            content.push(Content::Text { text: String::new() });
        }
        Ok((reason, content))
    }

    /// Whether the answer may have ended before the arguments of a call: in one that grew too long, the last call.
    fn may_be_cut(&self, call: &CallDraft) -> bool {
        let is_last = || call.index.checked_add(1) == Some(self.calls);
        call.arguments.is_empty()
            && match self.finish_reason {
                None => true,
                Some(reason) => reason == FinishReason::Length && is_last(),
            }
    }

    fn call_mut(&mut self, slot: u32) -> Result<&mut CallDraft> {
        match self.parts.get_mut(&slot).map(|part| &mut **part) {
            Some(Part::Call(call)) => Ok(call),
            _ => Err(mixed(slot)),
        }
    }

    fn model_or(&self, asked: &str) -> String {
        if self.model.is_empty() { asked.to_owned() } else { self.model.clone() }
    }

    fn reasoning(&mut self, slot: u32, bytes: usize) -> Result<&mut Reasoning> {
        match self.part(slot, || Part::Reasoning(Reasoning::default()), bytes)? {
            Part::Reasoning(reasoning) => Ok(reasoning),
            _ => Err(mixed(slot)),
        }
    }

    fn part(&mut self, slot: u32, new: impl FnOnce() -> Part, bytes: usize) -> Result<&mut Part> {
        let is_new = !self.parts.contains_key(&slot);
        self.make_room(bytes + if is_new { PART_BYTES } else { 0 })?;
        Ok(self.parts.entry(slot).or_insert_with(|| Box::new(new())))
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

fn mixed(slot: u32) -> Error {
    Error::new(ErrorKind::Corrupt, "read completion")
        .with_context("reason", "one part is of two kinds")
        .with_context("index", slot)
}
