use std::collections::BTreeSet;

use agentscale::core::llm::{Completion, CompletionEvent};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Usage, finish_reason};
use crate::api::call_id;
use crate::api::error::ApiError;
use crate::api::heading::Heading;
use crate::api::sse::{EventText, Events};

/// An answer as `chat.completion.chunk` events.
#[derive(Debug)]
pub(super) struct Chunks {
    heading: Heading,
    include_usage: bool,
    /// The calls of whose arguments nothing has come.
    without_arguments: BTreeSet<u32>,
}

/// A part of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    /// Of the last chunk where `include_usage` asked for it, `null` in those before.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

/// A part of a call: its id, type and name come first, then its arguments.
#[derive(Debug, Serialize, ToSchema)]
struct CallDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Debug, Serialize, ToSchema)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl Chunks {
    pub(super) fn new(heading: Heading, include_usage: bool) -> Self {
        Self { heading, include_usage, without_arguments: BTreeSet::new() }
    }

    fn call(&self, call: CallDelta<'_>, out: &mut EventText) {
        self.delta(Delta { tool_calls: Some([call]), ..Delta::default() }, None, out);
    }

    fn arguments(&mut self, index: u32, arguments: &str, out: &mut EventText) {
        // Space alone is no JSON.
        if self.without_arguments.contains(&index) && arguments.trim().is_empty() {
            return;
        }
        self.without_arguments.remove(&index);
        let function = FunctionDelta { name: None, arguments };
        self.call(CallDelta { index, id: None, kind: None, function }, out);
    }

    fn delta(&self, delta: Delta<'_>, finish_reason: Option<&'static str>, out: &mut EventText) {
        let choice = ChunkChoice { index: 0, delta, logprobs: None, finish_reason };
        out.data(&self.chunk(&[choice], self.include_usage.then_some(None)));
    }

    fn chunk<'a>(&'a self, choices: &'a [ChunkChoice<'a>], usage: Option<Option<Usage>>) -> Chunk<'a> {
        let Heading { id, created, model } = &self.heading;
        Chunk { id, object: "chat.completion.chunk", created: *created, model, choices, usage }
    }

    fn finish(&mut self, completion: &Completion, out: &mut EventText) {
        for index in std::mem::take(&mut self.without_arguments) {
            self.arguments(index, "{}", out);
        }
        self.delta(Delta::default(), Some(finish_reason(completion.finish_reason)), out);
        if self.include_usage {
            out.data(&self.chunk(&[], Some(Some(completion.usage.into()))));
        }
        out.raw("data: [DONE]\n\n");
    }
}

impl Events for Chunks {
    fn begin(&mut self, out: &mut EventText) {
        self.delta(Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, None, out);
    }

    fn part(&mut self, part: CompletionEvent, out: &mut EventText) {
        match part {
            CompletionEvent::Text(text) => {
                self.delta(Delta { content: Some(&text), ..Delta::default() }, None, out);
            }
            CompletionEvent::Reasoning(text) => {
                self.delta(Delta { reasoning_content: Some(&text), ..Delta::default() }, None, out);
            }
            CompletionEvent::ToolCallStarted { index, id, name, signature } => {
                self.without_arguments.insert(index);
                let id = Some(call_id::shown(&id, signature.as_deref()));
                let function = FunctionDelta { name: Some(&name), arguments: "" };
                self.call(CallDelta { index, id, kind: Some("function"), function }, out);
            }
            CompletionEvent::ToolArguments { index, fragment } => self.arguments(index, &fragment, out),
            CompletionEvent::Finished(completion) => self.finish(&completion, out),
            _ => {}
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut EventText) {
        out.data(&error.body());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::llm::{Content, FinishReason, Message, Role, Usage};
    use agentscale::core::{Error, ErrorKind};
    use serde_json::{Value, json};

    #[test]
    fn text_ends_with_its_reason_its_usage_and_done() {
        let mut chunks = chunks(true);
        let mut out = EventText::default();
        chunks.begin(&mut out);
        chunks.part(CompletionEvent::Text("Hi".to_owned()), &mut out);
        chunks.part(finished(vec![Content::Text { text: "Hi".to_owned() }], FinishReason::Stop), &mut out);
        let events = events(&out);
        assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        assert_eq!(events[1]["choices"][0]["delta"], json!({"content": "Hi"}));
        assert_eq!(events[1]["usage"], Value::Null);
        assert_eq!(events[2]["choices"][0]["finish_reason"], "stop");
        assert_eq!((&events[3]["choices"], &events[3]["usage"]["total_tokens"]), (&json!([]), &json!(3)));
        assert!(out.as_str().ends_with("data: [DONE]\n\n"));
    }

    #[test]
    fn usage_is_told_to_who_asks_for_it_alone() {
        let mut out = EventText::default();
        chunks(false).part(finished(Vec::new(), FinishReason::Length), &mut out);
        assert_eq!(events(&out).len(), 1);
        assert!(!out.as_str().contains("usage"));
    }

    #[test]
    fn a_call_begins_with_its_id_and_name_and_grows_by_its_arguments() {
        let started = |index, id: &str, signature: Option<&str>| CompletionEvent::ToolCallStarted {
            index,
            id: id.to_owned(),
            name: "look".to_owned(),
            signature: signature.map(str::to_owned),
        };
        let more =
            |index, fragment: &str| CompletionEvent::ToolArguments { index, fragment: fragment.to_owned() };
        let (mut chunks, mut out) = (chunks(false), EventText::default());
        for part in
            [started(0, "a", None), more(0, "{"), started(1, "b", Some("s")), more(0, "}"), more(1, " ")]
        {
            chunks.part(part, &mut out);
        }
        chunks.part(finished(Vec::new(), FinishReason::ToolCalls), &mut out);
        let events = events(&out);
        let deltas: Vec<_> =
            events.iter().filter_map(|event| event["choices"][0]["delta"].get("tool_calls")).collect();
        let begun = |index, id| json!([{"index": index, "id": id, "type": "function", "function": {"name": "look", "arguments": ""}}]);
        let grown = |index, arguments| json!([{"index": index, "function": {"arguments": arguments}}]);
        let signed = begun(1, "b__signature__s");
        assert_eq!(deltas, [&begun(0, "a"), &grown(0, "{"), &signed, &grown(0, "}"), &grown(1, "{}")]);
        assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    }

    #[test]
    fn an_answer_that_broke_off_is_never_done() {
        let mut out = EventText::default();
        chunks(false).fail(&Error::new(ErrorKind::Unavailable, "test").into(), &mut out);
        assert_eq!(events(&out)[0]["error"]["code"], "unavailable");
        assert!(!out.as_str().contains("[DONE]"));
    }

    fn chunks(include_usage: bool) -> Chunks {
        let heading = Heading { id: "chatcmpl-1".to_owned(), created: 7, model: "m".to_owned() };
        Chunks::new(heading, include_usage)
    }

    fn finished(content: Vec<Content>, reason: FinishReason) -> CompletionEvent {
        let message = Message::new(Role::Assistant, content);
        CompletionEvent::Finished(Completion::new(message, reason, Usage::new(2, 1), "inner"))
    }

    fn events(out: &EventText) -> Vec<Value> {
        let data = out.as_str().split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}
