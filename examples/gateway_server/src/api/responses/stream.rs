use agentscale::core::llm::{Completion, CompletionEvent, Content};
use serde::Serialize;

use super::About;
use super::object::{OutputItem, ResponseObject, SummaryPart, TextPart, sealed};
use super::thought::Shown;
use crate::api::error::ApiError;
use crate::api::sse::{EventText, Events};

mod call;

/// An answer as the events of OpenAI's responses.
///
/// Items are done together once the answer has ended, in their order: what goes back with a thought is not known
/// before. Where that is asked for calls come whole then, as they stand behind the thoughts.
#[derive(Debug)]
pub(super) struct ResponseEvents {
    about: About,
    sequence: u64,
    items: Vec<Streamed>,
}

/// An item as far as it has come.
#[derive(Debug)]
enum Streamed {
    Text { kind: Kind, id: String, text: String },
    Call { index: u32, item: OutputItem, arguments: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Thought,
}

#[derive(Serialize)]
struct Event<T> {
    #[serde(rename = "type")]
    name: &'static str,
    sequence_number: u64,
    #[serde(flatten)]
    fields: T,
}

#[derive(Serialize)]
struct OfResponse<'a> {
    response: ResponseObject<'a>,
}

#[derive(Serialize)]
struct OfItem<'a> {
    output_index: usize,
    item: &'a OutputItem,
}

/// The fields of what happens within an item; those that are `None` are not of its kind.
#[derive(Default, Serialize)]
struct Within<'a> {
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part {
    Text(TextPart),
    Summary(SummaryPart),
}

#[derive(Serialize)]
struct OfError<'a> {
    code: &'a str,
    message: &'a str,
    param: Option<()>,
}

impl ResponseEvents {
    pub(super) fn new(about: About) -> Self {
        Self { about, sequence: 0, items: Vec::new() }
    }

    fn more(&mut self, more: &str, of: Kind, out: &mut EventText) {
        if !matches!(self.items.last(), Some(Streamed::Text { kind, .. }) if *kind == of) {
            self.end_text(out);
            self.begin_item(of, out);
        }
        let last = self.items.iter_mut().enumerate().next_back();
        let Some((place, Streamed::Text { kind, id, text })) = last else { return };
        text.push_str(more);
        let fields = Within { delta: Some(more), ..kind.within(id, place) };
        let name = match kind {
            Kind::Message => "response.output_text.delta",
            Kind::Thought => "response.reasoning_summary_text.delta",
        };
        event(&mut self.sequence, name, fields, out);
    }

    fn begin_item(&mut self, kind: Kind, out: &mut EventText) {
        let place = self.items.len();
        let item = kind.item(&self.about, place, String::new(), None).begun();
        let id = item.id().to_owned();
        event(
            &mut self.sequence,
            "response.output_item.added",
            OfItem { output_index: place, item: &item },
            out,
        );
        let name = match kind {
            Kind::Message => "response.content_part.added",
            Kind::Thought => "response.reasoning_summary_part.added",
        };
        let part = Some(kind.part(String::new()));
        event(&mut self.sequence, name, Within { part, ..kind.at(&id, place) }, out);
        self.items.push(Streamed::Text { kind, id, text: String::new() });
    }

    /// Ends the text of the item that was streamed last.
    fn end_text(&mut self, out: &mut EventText) {
        let last = self.items.iter().enumerate().next_back();
        let Some((place, Streamed::Text { kind, id, text })) = last else { return };
        let (text_done, part_done) = match kind {
            Kind::Message => ("response.output_text.done", "response.content_part.done"),
            Kind::Thought => ("response.reasoning_summary_text.done", "response.reasoning_summary_part.done"),
        };
        event(&mut self.sequence, text_done, Within { text: Some(text), ..kind.within(id, place) }, out);
        let part = Some(kind.part(text.clone()));
        event(&mut self.sequence, part_done, Within { part, ..kind.at(id, place) }, out);
    }

    fn finish(&mut self, completion: &Completion, out: &mut EventText) {
        self.end_text(out);
        let message = &completion.message;
        let mut seals = message.content.iter().filter_map(|part| match part {
            Content::Reasoning(thought) => sealed(&self.about, thought),
            _ => None,
        });
        let mut output: Vec<OutputItem> = Vec::new();
        for (place, item) in std::mem::take(&mut self.items).into_iter().enumerate() {
            output.push(match item {
                Streamed::Text { kind, text, .. } => {
                    let seal = if kind == Kind::Thought { seals.next() } else { None };
                    kind.item(&self.about, place, text, seal)
                }
                Streamed::Call { item, arguments, .. } => {
                    call::end(&mut self.sequence, place, item, arguments, out)
                }
            });
        }
        let shown = output.len();
        for seal in seals {
            output.push(OutputItem::reasoning(&self.about, output.len(), String::new(), Some(seal)));
        }
        for (output_index, item) in output.iter().enumerate() {
            if output_index >= shown {
                let fields = OfItem { output_index, item: &item.begun() };
                event(&mut self.sequence, "response.output_item.added", fields, out);
            }
            event(&mut self.sequence, "response.output_item.done", OfItem { output_index, item }, out);
        }
        let whole_calls = message.tool_calls().filter(|_| !self.streams_calls());
        for call in whole_calls.collect::<Vec<_>>() {
            let item = OutputItem::call(&self.about, output.len(), call);
            call::whole(&mut self.sequence, output.len(), &item, call.arguments.as_str(), out);
            output.push(item);
        }
        let response = ResponseObject::ended(&self.about, &output, completion);
        let name = if response.is_whole() { "response.completed" } else { "response.incomplete" };
        event(&mut self.sequence, name, OfResponse { response }, out);
    }

    fn more_arguments(&mut self, more: &str, of: u32, out: &mut EventText) {
        let call = self.items.iter_mut().enumerate().rev().find_map(|(place, item)| match item {
            Streamed::Call { index, item, arguments } if *index == of => Some((place, item, arguments)),
            _ => None,
        });
        let Some((place, item, arguments)) = call else { return };
        // Space alone is no JSON.
        if !(arguments.is_empty() && more.trim().is_empty()) {
            arguments.push_str(more);
            call::grow(&mut self.sequence, place, item, more, out);
        }
    }

    /// Whether calls come as they arrive.
    fn streams_calls(&self) -> bool {
        self.about.thoughts != Shown::Encrypted
    }
}

impl Events for ResponseEvents {
    fn begin(&mut self, out: &mut EventText) {
        for name in ["response.created", "response.in_progress"] {
            let response = ResponseObject::begun(&self.about);
            event(&mut self.sequence, name, OfResponse { response }, out);
        }
    }

    fn part(&mut self, part: CompletionEvent, out: &mut EventText) {
        match part {
            CompletionEvent::Text(text) => self.more(&text, Kind::Message, out),
            CompletionEvent::Reasoning(text) => self.more(&text, Kind::Thought, out),
            CompletionEvent::ToolCallStarted { index, id, name, signature } if self.streams_calls() => {
                self.end_text(out);
                let place = self.items.len();
                let item = OutputItem::call_begun(&self.about, place, &id, &name, signature.as_deref());
                call::begin(&mut self.sequence, place, &item, out);
                self.items.push(Streamed::Call { index, item, arguments: String::new() });
            }
            CompletionEvent::ToolArguments { index, fragment } => self.more_arguments(&fragment, index, out),
            CompletionEvent::Finished(completion) => self.finish(&completion, out),
            _ => {}
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut EventText) {
        let fields = OfError { code: error.code(), message: error.message(), param: None };
        event(&mut self.sequence, "error", fields, out);
        let response = ResponseObject::failed(&self.about, error);
        event(&mut self.sequence, "response.failed", OfResponse { response }, out);
    }
}

impl Kind {
    fn item(self, about: &About, place: usize, text: String, seal: Option<String>) -> OutputItem {
        match self {
            Self::Message => OutputItem::message(about, place, text),
            Self::Thought => OutputItem::reasoning(about, place, text, seal),
        }
    }

    fn part(self, text: String) -> Part {
        match self {
            Self::Message => Part::Text(TextPart::new(text)),
            Self::Thought => Part::Summary(SummaryPart::new(text)),
        }
    }

    fn at(self, item_id: &str, output_index: usize) -> Within<'_> {
        let (content_index, summary_index) = match self {
            Self::Message => (Some(0), None),
            Self::Thought => (None, Some(0)),
        };
        Within { item_id, output_index, content_index, summary_index, ..Within::default() }
    }

    /// The same for pieces of text, which have probabilities where they are no thoughts.
    fn within(self, item_id: &str, output_index: usize) -> Within<'_> {
        Within { logprobs: (self == Self::Message).then_some([]), ..self.at(item_id, output_index) }
    }
}

fn event(sequence: &mut u64, name: &'static str, fields: impl Serialize, out: &mut EventText) {
    out.named(name, &Event { name, sequence_number: *sequence, fields });
    *sequence += 1;
}

#[cfg(test)]
mod tests;
