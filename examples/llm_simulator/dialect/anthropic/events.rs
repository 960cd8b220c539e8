use serde_json::{Value, json};

use super::super::read::quoted;
use super::{call_id, message, signature, stop, usage};
use crate::answer::{Answer, Call};
use crate::body::{Event, Events};

pub(super) fn of(answer: Answer) -> Events {
    let start = event("message_start", json!({"type": "message_start", "message": message(&answer, 1)}));
    let ping = event("ping", json!({"type": "ping"}));
    let (stop_reason, stop_sequence) = stop(&answer.finish);
    let delta = json!({"stop_reason": stop_reason, "stop_sequence": stop_sequence});
    let used = usage(&answer.usage, answer.usage.output);
    let delta = event("message_delta", json!({"type": "message_delta", "delta": delta, "usage": used}));
    let end = event("message_stop", json!({"type": "message_stop"}));

    let signature = signature(&answer);
    let mut index = 0;
    let mut place = || {
        index += 1;
        index - 1
    };
    let thinking = (!answer.thinking.is_empty()).then(|| thinking(answer.thinking, &signature, place()));
    let text = (!answer.text.is_empty()).then(|| text(answer.text, place()));
    let calls: Vec<Events> = answer.calls.into_iter().map(|call| self::call(&call, place())).collect();
    let blocks = thinking.into_iter().chain(text).chain(calls).flatten();
    Box::new([start, ping].into_iter().chain(blocks).chain([delta, end]))
}

fn thinking(tokens: Vec<String>, signature: &str, index: usize) -> Events {
    let begin = json!({"type": "thinking", "thinking": "", "signature": ""});
    let signature = delta(index, "signature_delta", "signature", signature);
    let tokens = tokens
        .into_iter()
        .map(move |token| Event { tokens: 1, ..delta(index, "thinking_delta", "thinking", &token) });
    Box::new([start(index, &begin)].into_iter().chain(tokens).chain([signature, end(index)]))
}

fn text(tokens: Vec<String>, index: usize) -> Events {
    let begin = json!({"type": "text", "text": ""});
    let tokens = tokens
        .into_iter()
        .map(move |token| Event { tokens: 1, ..delta(index, "text_delta", "text", &token) });
    Box::new([start(index, &begin)].into_iter().chain(tokens).chain([end(index)]))
}

/// The first fragment is empty; a call without arguments has no other.
fn call(call: &Call, index: usize) -> Events {
    let begin = json!({"type": "tool_use", "id": call_id(call), "name": call.name, "input": {}});
    let fragments = if call.arguments == "{}" { Vec::new() } else { call.fragments() };
    let fragments = fragments
        .into_iter()
        .map(move |part| Event { tokens: 1, ..delta(index, "input_json_delta", "partial_json", &part) });
    let empty = delta(index, "input_json_delta", "partial_json", "");
    Box::new([start(index, &begin), empty].into_iter().chain(fragments).chain([end(index)]))
}

fn start(index: usize, block: &Value) -> Event {
    event(
        "content_block_start",
        json!({"type": "content_block_start", "index": index, "content_block": block}),
    )
}

fn delta(index: usize, kind: &str, field: &str, text: &str) -> Event {
    let text = quoted(text);
    Event::silent(format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\
         \"delta\":{{\"type\":\"{kind}\",\"{field}\":{text}}}}}\n\n"
    ))
}

fn end(index: usize) -> Event {
    event("content_block_stop", json!({"type": "content_block_stop", "index": index}))
}

#[expect(clippy::needless_pass_by_value, reason = "each is made for this call")]
fn event(name: &str, data: Value) -> Event {
    Event::silent(format!("event: {name}\ndata: {data}\n\n"))
}
