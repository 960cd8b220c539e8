use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::{assert_fits, schema};

const HEADERS: [(&str, &str); 2] = [("anthropic-version", "2023-06-01"), ("x-api-key", "k")];

async fn post(server: &Server, body: &Value) -> Answer {
    server.send("POST", "/v1/messages", &HEADERS, body.to_string()).await
}

fn ask(fields: Value) -> Value {
    let messages = json!([{"role": "user", "content": "How long does a lease last?"}]);
    let mut body = json!({"model": "m", "max_tokens": 2_000, "messages": messages});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn tools() -> Value {
    json!([{"name": "find", "input_schema": schema()}])
}

/// Names of events, deltas with their kind, without repeats.
fn names(answer: &Answer) -> Vec<String> {
    let name = |(name, data): (String, String)| {
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(data["type"], name);
        match &data["delta"]["type"] {
            Value::String(kind) => kind.clone(),
            _ => name,
        }
    };
    let mut names: Vec<String> = answer.events("\n\n").into_iter().map(name).collect();
    names.dedup();
    names
}

#[tokio::test]
async fn thinking_and_text_are_blocks_of_a_stream() {
    let server = Server::start();
    let thinking = json!({"type": "enabled", "budget_tokens": 1_024});
    let whole = post(&server, &ask(json!({"thinking": thinking}))).await.json();
    let answer = post(&server, &ask(json!({"thinking": thinking, "stream": true}))).await;
    assert_eq!(
        names(&answer),
        [
            "message_start",
            "ping",
            "content_block_start",
            "thinking_delta",
            "signature_delta",
            "content_block_stop",
            "content_block_start",
            "text_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let data = answer.data("\n\n");
    let joined = |kind: &str, field: &str| -> String {
        let deltas = data.iter().filter(|event| event["delta"]["type"] == kind);
        deltas.map(|event| event["delta"][field].as_str().unwrap()).collect()
    };
    assert_eq!(whole["content"][0]["thinking"], joined("thinking_delta", "thinking"));
    assert_eq!(whole["content"][0]["signature"], joined("signature_delta", "signature"));
    assert_eq!(whole["content"][1]["text"], joined("text_delta", "text"));
    let (start, delta) = (&data[0]["message"], &data[data.len() - 2]);
    assert_eq!(
        (&start["id"], &start["content"], &start["stop_reason"]),
        (&whole["id"], &json!([]), &Value::Null)
    );
    assert_eq!((&delta["delta"]["stop_reason"], &delta["usage"]), (&json!("end_turn"), &whole["usage"]));
    assert!(start["usage"]["output_tokens"].as_u64() < delta["usage"]["output_tokens"].as_u64());
}

#[tokio::test]
async fn a_call_comes_in_fragments_behind_an_empty_one() {
    let server = Server::start();
    let any = json!({"type": "any"});
    let whole = post(&server, &ask(json!({"tools": tools(), "tool_choice": any}))).await.json();
    assert_eq!(
        (&whole["stop_reason"], &whole["content"][0]["type"]),
        (&json!("tool_use"), &json!("tool_use"))
    );
    assert_fits(&whole["content"][0]["input"]);
    let answer = post(&server, &ask(json!({"tools": tools(), "tool_choice": any, "stream": true}))).await;
    let data = answer.data("\n\n");
    let start = data.iter().find(|event| event["type"] == "content_block_start").unwrap();
    assert_eq!(start["content_block"]["input"], json!({}));
    assert_eq!(start["content_block"]["id"], whole["content"][0]["id"]);
    let parts: Vec<&str> = data.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert!(parts[0].is_empty() && parts.len() > 3);
    assert_eq!(serde_json::from_str::<Value>(&parts.concat()).unwrap(), whole["content"][0]["input"]);

    let plain = json!([{"name": "now", "input_schema": {"type": "object", "properties": {}}}]);
    let answer = post(&server, &ask(json!({"tools": plain, "tool_choice": any, "stream": true}))).await;
    let data = answer.data("\n\n");
    let parts: Vec<&str> = data.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(parts, [""], "a call without arguments has no other fragment");
}

#[tokio::test]
async fn results_are_answered_and_schemas_fitted() {
    let server = Server::start();
    let question = json!({"role": "user", "content": "how long?"});
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "find", "input": {}}]});
    let result =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ten"}]});
    let body = ask(json!({"tools": tools(), "messages": [question, call, result]}));
    assert_eq!(post(&server, &body).await.json()["stop_reason"], "end_turn");
    for messages in [json!([question, call, question]), json!([question, result]), json!([question, call])] {
        let refused = post(&server, &ask(json!({"messages": messages}))).await;
        assert_eq!(
            (refused.status, &refused.json()["error"]["type"]),
            (400, &json!("invalid_request_error"))
        );
    }
    let format = json!({"format": {"type": "json_schema", "schema": schema()}});
    let answer = post(&server, &ask(json!({"output_config": format}))).await.json();
    assert_fits(&serde_json::from_str(answer["content"][0]["text"].as_str().unwrap()).unwrap());
}

#[tokio::test]
async fn requests_are_refused_in_anthropics_words() {
    let server =
        Server::with(json!({"models": [{"name": "m", "context_tokens": 30}], "keys": [{"key": "k"}]}));
    let system = json!([{"role": "system", "content": "x"}]);
    for (body, status, kind, message) in [
        (json!({"model": "m", "messages": []}), 400, "invalid_request_error", "max_tokens: Field required"),
        (json!({"max_tokens": 5}), 400, "invalid_request_error", "model: Field required"),
        (ask(json!({"messages": []})), 400, "invalid_request_error", "at least one message is required"),
        (ask(json!({"messages": system})), 400, "invalid_request_error", "Unexpected role \"system\""),
        (ask(json!({"model": "n"})), 404, "not_found_error", "model: n"),
        (ask(json!({"max_tokens": 0})), 400, "invalid_request_error", "greater than or equal to 1"),
        (ask(json!({"system": "x".repeat(200)})), 400, "invalid_request_error", "prompt is too long"),
        (
            ask(json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}})),
            400,
            "invalid_request_error",
            "`max_tokens` must be greater",
        ),
    ] {
        let answer = post(&server, &body).await;
        let error = answer.json();
        assert_eq!(
            (answer.status, &error["type"], &error["error"]["type"]),
            (status, &json!("error"), &json!(kind))
        );
        assert!(error["error"]["message"].as_str().unwrap().contains(message), "{error}");
        assert_eq!(error["request_id"], answer.header("request-id"));
    }
    let bare = server.send("POST", "/v1/messages", &[("x-api-key", "k")], ask(json!({})).to_string()).await;
    assert_eq!(bare.json()["error"]["message"], "anthropic-version: header is required");
    let unknown = [("anthropic-version", "2023-06-01"), ("x-api-key", "other")];
    let unknown = server.send("POST", "/v1/messages", &unknown, ask(json!({})).to_string()).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["type"]), (401, &json!("authentication_error")));
    assert_eq!(post(&server, &ask(json!({"a_field_of_next_year": 1}))).await.status, 200);
}

#[tokio::test]
async fn what_a_breakpoint_wrote_is_read_back_and_counted_beside_the_input() {
    let server = Server::with(json!({"cache": {"min_tokens": 16}}));
    let body = |ttl: &str, text: &str, question: &str| {
        let block = json!({
            "type": "text",
            "text": text.repeat(400),
            "cache_control": {"type": "ephemeral", "ttl": ttl},
        });
        ask(json!({"system": [block], "messages": [{"role": "user", "content": question}]}))
    };
    let usage = async |ttl: &str, text: &str, question: &str| {
        let usage = post(&server, &body(ttl, text, question)).await.json()["usage"].clone();
        ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
            .map(|name| usage[name].as_u64().unwrap())
    };
    assert_eq!(usage("5m", "x", "one?").await, [1, 100, 0]);
    assert_eq!(usage("5m", "x", "two?").await, [1, 0, 100]);
    assert_eq!(usage("1h", "y", "one?").await, [1, 100, 0]);
    let hour = post(&server, &body("1h", "z", "one?")).await.json()["usage"]["cache_creation"].clone();
    assert_eq!(hour, json!({"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100}));
    let bill = &server.stats().await["keys"]["k"]["m"];
    assert_eq!(bill["input_tokens"], 404, "the bill has one meaning for all dialects: {bill}");
    assert_eq!((&bill["cached_input_tokens"], &bill["cache_write_tokens"]), (&json!(100), &json!(300)));
    let block = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    let five = ask(json!({"system": [block, block, block, block, block]}));
    assert_eq!(post(&server, &five).await.status, 400);
}

#[tokio::test]
async fn tokens_are_counted_without_an_answer() {
    let server = Server::start();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "12345678"}]});
    let answer = server.send("POST", "/v1/messages/count_tokens", &HEADERS, body.to_string()).await;
    assert_eq!(answer.json(), json!({"input_tokens": 2}));
}
