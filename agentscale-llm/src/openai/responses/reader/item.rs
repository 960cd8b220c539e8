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
    /// The slots by the ids of their items: some servers tell no index, or another one at the end.
    slots: HashMap<String, u32>,
    /// Behind the last slot.
    next: u32,
}

/// How many ids are kept, and how long ones.
const MAX_IDS: usize = 4_096;
const MAX_ID_BYTES: usize = 256;

/// What of an item has come already.
#[derive(Debug, Default)]
struct Told {
    call: u32,
    last_summary: u32,
    ended: bool,
}

impl Items {
    /// The slot of an item that begins or ends: that of its index, else of its id, else a new or the last one.
    pub(super) fn slot_of_item(&mut self, index: Option<u32>, item: &RawValue, begins: bool) -> Result<u32> {
        let parsed: wire::ItemKind<'_> = decode::event(item.get().as_bytes())?;
        let id = parsed.id.as_deref().unwrap_or_default();
        let known = || self.slots.get(id).copied();
        let slot = index.or_else(known).unwrap_or(if begins { self.next } else { self.last() });
        self.next = self.next.max(slot.saturating_add(1));
        if (1..=MAX_ID_BYTES).contains(&id.len()) && self.slots.len() < MAX_IDS {
            self.slots.insert(id.to_owned(), slot);
        }
        Ok(slot)
    }

    /// The slot of what belongs to an item: that of its index, else of the item's id, else the last one.
    pub(super) fn slot(&self, index: Option<u32>, item_id: Option<&str>) -> u32 {
        let known = || item_id.and_then(|id| self.slots.get(id).copied());
        index.or_else(known).unwrap_or_else(|| self.last())
    }

    /// The slot of the `at`-th item of a whole response.
    pub(super) fn slot_in_list(&mut self, at: u32, item: &RawValue) -> Result<u32> {
        let parsed: wire::ItemKind<'_> = decode::event(item.get().as_bytes())?;
        Ok(parsed.id.and_then(|id| self.slots.get(&*id).copied()).unwrap_or(at))
    }

    fn last(&self) -> u32 {
        self.next.saturating_sub(1)
    }

    /// The call in a slot, which may be new.
    pub(super) fn call(&mut self, slot: u32, draft: &mut Draft) -> Result<()> {
        let place = match draft.find_call(slot) {
            Some(_) => self.told.entry(slot).or_default().call,
            None => draft.calls(),
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
    pub(super) fn begin(
        &mut self,
        slot: u32,
        item: &RawValue,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        let kind: wire::ItemKind<'_> = decode::event(item.get().as_bytes())?;
        if &*kind.kind != "function_call" {
            return Ok(());
        }
        self.name_call(slot, &decode::event(item.get().as_bytes())?, draft, events)
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
                self.name_call(slot, &parsed, draft, events)?;
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

    fn name_call(
        &mut self,
        slot: u32,
        item: &wire::Item<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        self.call(slot, draft)?;
        let (id, name) = (item.call_id.as_deref(), item.name.as_deref());
        draft.name_call(slot, id.unwrap_or_default(), name.unwrap_or_default(), events)
    }
}
