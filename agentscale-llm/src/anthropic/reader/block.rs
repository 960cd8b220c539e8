use agentscale_core::llm::CompletionEvent;
use agentscale_core::{Json, Result};
use serde::Serialize;

use crate::anthropic::{API_NAME, wire};
use crate::decode::Draft;

/// A part of the answer that more may come of.
#[derive(Debug)]
pub(super) struct OpenBlock {
    slot: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking,
    /// Whose input came whole with its beginning or not.
    Call {
        whole: bool,
    },
    /// The call that is the answer's text, and whether any has come.
    Answer {
        begun: bool,
    },
    /// Tools of the server and their results, and what is not known yet. No request of ours asks for them.
    Unknown,
}

/// What goes back with a thought.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Kept<'a> {
    Signature(&'a str),
    Data(&'a str),
}

pub(super) fn is_known(kind: &str) -> bool {
    matches!(kind, "text" | "thinking" | "redacted_thinking" | "tool_use")
}

pub(super) fn is_known_delta(kind: &str) -> bool {
    matches!(kind, "text_delta" | "input_json_delta" | "thinking_delta" | "signature_delta")
}

impl OpenBlock {
    /// Begins a part; what its beginning says already is said.
    pub(super) fn open(
        slot: u32,
        block: &wire::Block<'_>,
        answer_tool: Option<&str>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<Self> {
        let text = |text: &Option<_>| text.as_deref().map(str::to_owned).unwrap_or_default();
        let kind = match &*block.kind {
            "text" => {
                draft.add_text(slot, text(&block.text), events)?;
                Kind::Text
            }
            "thinking" => {
                draft.add_reasoning(slot, text(&block.thinking), events)?;
                keep_signature(slot, block.signature.as_deref(), draft)?;
                Kind::Thinking
            }
            "redacted_thinking" => {
                keep(slot, &Kept::Data(block.data.as_deref().unwrap_or_default()), draft)?;
                Kind::Thinking
            }
            "tool_use" => return Self::open_call(slot, block, answer_tool, draft, events),
            _ => Kind::Unknown,
        };
        Ok(Self { slot, kind })
    }

    pub(super) fn unknown() -> Self {
        Self { slot: 0, kind: Kind::Unknown }
    }

    fn open_call(
        slot: u32,
        block: &wire::Block<'_>,
        answer_tool: Option<&str>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<Self> {
        let name = block.name.as_deref().unwrap_or_default();
        // A stream begins with `{}` and gives the input piece by piece.
        let input = block.input.map(|input| input.get()).filter(|input| !is_empty_object(input));
        let whole = input.is_some();
        let input = input.unwrap_or_default().to_owned();
        if answer_tool.is_some_and(|tool| tool == name) {
            draft.add_text(slot, input, events)?;
            return Ok(Self { slot, kind: Kind::Answer { begun: whole } });
        }
        draft.call(slot, draft.calls())?;
        draft.name_call(slot, block.id.as_deref().unwrap_or_default(), name, events)?;
        draft.start_call(slot, events)?;
        draft.add_arguments(slot, input, events)?;
        Ok(Self { slot, kind: Kind::Call { whole } })
    }

    pub(super) fn add(
        &mut self,
        delta: wire::Delta<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()> {
        match (&mut self.kind, &*delta.kind) {
            (Kind::Text, "text_delta") => {
                draft.add_text(self.slot, delta.text.unwrap_or_default().into_string(), events)
            }
            (Kind::Thinking, "thinking_delta") => {
                draft.add_reasoning(self.slot, delta.thinking.unwrap_or_default().into_string(), events)
            }
            (Kind::Thinking, "signature_delta") => {
                keep_signature(self.slot, delta.signature.as_deref(), draft)
            }
            (Kind::Call { whole: false }, "input_json_delta") => {
                draft.add_arguments(self.slot, delta.partial_json.unwrap_or_default().into_string(), events)
            }
            (Kind::Answer { begun }, "input_json_delta") => {
                let text = delta.partial_json.unwrap_or_default().into_string();
                *begun |= !text.is_empty();
                draft.add_text(self.slot, text, events)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn close(self, draft: &mut Draft, events: &mut Vec<CompletionEvent>) -> Result<()> {
        match self.kind {
            Kind::Answer { begun: false } => draft.add_text(self.slot, "{}".to_owned(), events),
            _ => Ok(()),
        }
    }
}

fn is_empty_object(input: &str) -> bool {
    let inner = input.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

fn keep_signature(slot: u32, signature: Option<&str>, draft: &mut Draft) -> Result<()> {
    match signature {
        None | Some("") => Ok(()),
        Some(signature) => keep(slot, &Kept::Signature(signature), draft),
    }
}

fn keep(slot: u32, kept: &Kept<'_>, draft: &mut Draft) -> Result<()> {
    draft.keep_opaque(slot, API_NAME, Json::encode(kept)?)
}
