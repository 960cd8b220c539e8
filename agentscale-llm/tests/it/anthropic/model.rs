//! A small model behind the messages API.

use serde_json::{Value, json};

use crate::server::{Recorded, Reply};

pub(super) fn answer(request: &Recorded) -> Reply {
    let body = &request.body;
    if request.path != "/v1/messages" || !body["model"].as_str().unwrap().starts_with("claude-") {
        let error = json!({"type": "not_found_error", "message": body["messages"].to_string()});
        return Reply::json(404, &json!({"type": "error", "error": error}).to_string());
    }
    let (input, reason) = match body["tool_choice"]["name"].as_str() {
        Some("find") => (Some(r#"{"words":"lease"}"#), "tool_use"),
        Some(_) => (Some(r#"{"seconds":10}"#), "tool_use"),
        None => (None, "end_turn"),
    };
    let block = match input {
        Some(_) => {
            json!({"type": "tool_use", "id": "toolu_01", "name": body["tool_choice"]["name"], "input": {}})
        }
        None => json!({"type": "text", "text": ""}),
    };
    let text = match body["output_config"]["format"].is_object() {
        true => r#"{"seconds":10}"#,
        false => "It lasts ten seconds.",
    };
    if body["stream"] == true {
        streamed(&block, input, text, reason)
    } else {
        whole(block, input, text, reason)
    }
}

fn usage() -> Value {
    json!({"input_tokens": 16, "cache_read_input_tokens": 4, "output_tokens": 5})
}

fn whole(mut block: Value, input: Option<&str>, text: &str, reason: &str) -> Reply {
    match input {
        Some(input) => block["input"] = serde_json::from_str(input).unwrap(),
        None => block["text"] = text.into(),
    }
    let message =
        json!({"id": "msg_01", "model": "c-1", "content": [block], "stop_reason": reason, "usage": usage()});
    Reply::json(200, &message.to_string())
}

fn streamed(block: &Value, input: Option<&str>, text: &str, reason: &str) -> Reply {
    let deltas: Vec<_> = match input {
        Some(input) => {
            pieces(input).map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect()
        }
        None => pieces(text).map(|piece| json!({"type": "text_delta", "text": piece})).collect(),
    };
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_01", "model": "c-1", "content": [], "usage": usage()}}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
    ];
    events.extend(
        deltas.into_iter().map(|delta| json!({"type": "content_block_delta", "index": 0, "delta": delta})),
    );
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ]);
    let named = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    Reply::sse(&events.iter().map(named).collect::<String>())
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let (first, second) = text.split_at(text.len() / 2);
    [first, second].into_iter()
}
