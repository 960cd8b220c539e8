//! A small model behind the chat completions and embeddings APIs.

use serde_json::{Value, json};

use crate::server::{Recorded, Reply};

pub(crate) fn answer(request: &Recorded) -> Reply {
    match request.path.as_str() {
        "/v1/embeddings" => embeddings(&request.body),
        _ if request.body["model"] != "m" => {
            let echo = request.body["messages"].to_string();
            let error = json!({"message": echo, "type": "invalid_request_error", "code": "model_not_found"});
            Reply::json(404, &json!({"error": error}).to_string())
        }
        _ => chat(&request.body),
    }
}

fn chat(body: &Value) -> Reply {
    let (message, reason) = if body["tool_choice"].is_object() {
        let function =
            json!({"name": body["tool_choice"]["function"]["name"], "arguments": "{\"words\":\"lease\"}"});
        let call = json!({"index": 0, "id": "call_1", "type": "function", "function": function});
        (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
    } else if body["response_format"].is_object() {
        (json!({"role": "assistant", "content": "{\"seconds\":10}"}), "stop")
    } else {
        (json!({"role": "assistant", "content": "It lasts ten seconds."}), "stop")
    };
    let usage =
        json!({"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}});
    if body["stream"] != true {
        let choices = json!([{"index": 0, "message": message, "finish_reason": reason}]);
        return Reply::json(200, &json!({"model": "m-1", "choices": choices, "usage": usage}).to_string());
    }
    let chunks = [
        json!({"model": "m-1", "choices": [{"index": 0, "delta": message}]}),
        json!({"model": "m-1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}),
        json!({"model": "m-1", "choices": [], "usage": usage}),
    ];
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    Reply::sse(&format!("{events}data: [DONE]\n\n"))
}

fn embeddings(body: &Value) -> Reply {
    let texts = body["input"].as_array().unwrap();
    // How often each letter stands in the text.
    let vector = |text: &Value| -> Vec<usize> {
        let text = text.as_str().unwrap();
        ('a'..='z').map(|letter| text.matches(letter).count()).collect()
    };
    let data: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"index": index, "embedding": vector(text)}))
        .collect();
    Reply::json(200, &json!({"model": "e-1", "data": data, "usage": {"prompt_tokens": 3}}).to_string())
}
