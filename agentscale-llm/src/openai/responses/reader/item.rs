use std::collections::HashMap;

use agentscale_core::llm::CompletionEvent;
use agentscale_core::{Json, Result};
use serde_json::value::RawValue;

use crate::decode::{self, Draft, Text};
use crate::openai::responses::{API_NAME, wire};

/// The items of a response, each in the slot of its place. A server may tell a part of one piece by piece, whole, or
/// both.
#[derive(Debug, Default)]
pub(super) struct Items {
    told: HashMap<u32, Told>,
}

/// What of an item has come already.
#[derive(Debug, Default)]
struct Told {
    call: u32,
    last_summary: u32,
    ended: bool,
}

impl Items {
    /// The call in a slot, which may be new.
    pub(super) fn call(&mut self, slot: u32, draft: &mut Draft) -> Result<()> {
        let place = match draft.find_call(slot) {
            Some(_) => self.told.entry(slot).or_default().call,
            None => u32::try_from(draft.calls()).unwrap_or(u32::MAX),
        };
        draft.call(slot, place)?;
        self.told.entry(slot).or_default().call = place;
        Ok(())
    }

    /// Summaries of one thought are paragraphs.
    pub(super) fn add_summary(
        &mut self,
        slot: u32,
        index: u32,
        delta: &str,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let begins = draft.has(slot) && self.told.get(&slot).map_or(0, |told| told.last_summary) != index;
        let text = if begins { format!("\n\n{delta}") } else { delta.to_owned() };
        draft.add_reasoning(slot, text, events)?;
        if draft.has(slot) {
            self.told.entry(slot).or_default().last_summary = index;
        }
        Ok(())
    }

    pub(super) fn add_missing_text(
        &mut self,
        slot: u32,
        text: Text<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if draft.has(slot) { Ok(()) } else { draft.add_text(slot, text.into_string(), events) }
    }

    pub(super) fn add_missing_arguments(
        &mut self,
        slot: u32,
        arguments: Text<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        self.call(slot, draft)?;
        let has_some = draft.find_call(slot).is_some_and(|call| call.has_arguments());
        if has_some { Ok(()) } else { draft.add_arguments(slot, arguments.into_string(), events) }
    }

    /// An item begins; its parts follow.
    pub(super) fn begin(&mut self, slot: u32, item: &RawValue, draft: &mut Draft) -> Result<()> {
        let kind: wire::ItemKind<'_> = decode::event(item.get().as_bytes())?;
        if &*kind.kind != "function_call" {
            return Ok(());
        }
        self.name_call(slot, &decode::event(item.get().as_bytes())?, draft)
    }

    /// An item is whole.
    pub(super) fn end(
        &mut self,
        slot: u32,
        item: &RawValue,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if self.told.get(&slot).is_some_and(|told| told.ended) {
            return Ok(());
        }
        let kind: wire::ItemKind<'_> = decode::event(item.get().as_bytes())?;
        if !matches!(&*kind.kind, "message" | "reasoning" | "function_call") {
            return Ok(());
        }
        let parsed: wire::Item<'_> = decode::event(item.get().as_bytes())?;
        match &*kind.kind {
            "message" => self.end_message(slot, parsed, draft, events)?,
            "reasoning" => self.end_thought(slot, item, parsed, draft, events)?,
            _ => {
                self.name_call(slot, &parsed, draft)?;
                self.add_missing_arguments(slot, parsed.arguments.unwrap_or_default(), draft, events)?;
            }
        }
        if draft.has(slot) {
            self.told.entry(slot).or_default().ended = true;
        }
        Ok(())
    }

    fn end_message(
        &mut self,
        slot: u32,
        item: wire::Item<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let parts = item.content.unwrap_or_default();
        if parts.iter().any(|part| &*part.kind == "refusal") {
            draft.refuse();
        }
        if draft.has(slot) {
            return Ok(());
        }
        for part in parts.into_iter().filter(|part| &*part.kind == "output_text") {
            draft.add_text(slot, part.text.unwrap_or_default().into_string(), events)?;
        }
        Ok(())
    }

    fn end_thought(
        &mut self,
        slot: u32,
        item: &RawValue,
        parsed: wire::Item<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        if !draft.has(slot) {
            let parts = parsed.summary.into_iter().chain(parsed.content).flatten();
            for (index, part) in (0..).zip(parts) {
                self.add_summary(slot, index, &part.text.unwrap_or_default(), draft, events)?;
            }
        }
        // Without its encrypted form a thought is not known to the server any more.
        match parsed.encrypted_content {
            Some(content) if !content.is_empty() => {
                draft.keep_opaque(slot, API_NAME, Json::parse(item.get())?)
            }
            _ => Ok(()),
        }
    }

    fn name_call(&mut self, slot: u32, item: &wire::Item<'_>, draft: &mut Draft) -> Result<()> {
        self.call(slot, draft)?;
        let call = draft.call(slot, 0)?;
        for (kept, told) in [(&mut call.id, &item.call_id), (&mut call.name, &item.name)] {
            if let Some(told) = told.as_deref().filter(|_| kept.is_empty()) {
                told.clone_into(kept);
            }
        }
        Ok(())
    }
}
