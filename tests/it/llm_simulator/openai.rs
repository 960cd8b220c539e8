use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::{assert_fits, schema};

const CHAT: &str = "/v1/chat/completions";

fn ask(fields: Value) -> Value {
    let mut body =
        json!({"model": "m", "messages": [{"role": "user", "content": "How long does a lease last?"}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "find", "parameters": schema()}}])
}

fn assert_error(answer: &Answer, status: u16, param: &Value, code: &Value) {
    let error = &answer.json()["error"];
    assert_eq!(answer.status, status, "{error}");
    assert_eq!((&error["param"], &error["code"]), (param, code), "{error}");
    assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
}

#[tokio::test]
async fn a_stream_is_the_whole_answer_in_openais_chunks() {
    let server = Server::start();
    let whole = server.post(CHAT, &ask(json!({}))).await;
    let streamed = ask(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let stream = server.post(CHAT, &streamed).await;
    assert_eq!(stream.header("content-type"), "text/event-stream; charset=utf-8");
    assert!(stream.text().ends_with("\n\ndata: [DONE]\n\n"), "{}", stream.text());
    let chunks = stream.data("\n\n");
    let whole = whole.json();
    assert_eq!(whole["object"], "chat.completion");
    assert!(
        chunks.iter().all(|chunk| chunk["id"] == whole["id"] && chunk["object"] == "chat.completion.chunk")
    );
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    let [middle @ .., finish, usage] = &chunks[1..] else { panic!("{chunks:?}") };
    let text: String =
        middle.iter().map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap()).collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"]);
    assert!(
        middle.iter().all(|chunk| chunk["usage"].is_null() && chunk["choices"][0]["finish_reason"].is_null())
    );
    assert_eq!(
        (&finish["choices"][0]["finish_reason"], &finish["choices"][0]["delta"]),
        (&json!("stop"), &json!({}))
    );
    assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &whole["usage"]));
    assert_eq!(usage["usage"]["completion_tokens"], middle.len());
}

#[tokio::test]
async fn usage_is_streamed_only_where_it_was_asked_for() {
    let chunks = Server::start().post(CHAT, &ask(json!({"stream": true}))).await.data("\n\n");
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn calls_fit_their_schema_and_come_in_fragments_by_index() {
    let server = Server::with(json!({"answers": {"tool_calls": 2}}));
    let body = ask(json!({"tools": tools(), "tool_choice": "required"}));
    let whole = server.post(CHAT, &body).await.json();
    let calls = whole["choices"][0]["message"]["tool_calls"].as_array().unwrap().clone();
    assert_eq!((calls.len(), &whole["choices"][0]["finish_reason"]), (2, &json!("tool_calls")));
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    let streamed = ask(json!({"tools": tools(), "tool_choice": "required", "stream": true}));
    let chunks = server.post(CHAT, &streamed).await.data("\n\n");
    let mut joined = [String::new(), String::new()];
    for part in chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0)) {
        let index = part["index"].as_u64().unwrap() as usize;
        if let Some(id) = part.get("id") {
            assert_eq!((id, &part["function"]["name"]), (&calls[index]["id"], &json!("find")));
            assert!(joined[index].is_empty());
        }
        joined[index].push_str(part["function"]["arguments"].as_str().unwrap());
    }
    for (call, arguments) in calls.iter().zip(&joined) {
        assert_eq!(call["function"]["arguments"], arguments.as_str());
        assert_fits(&serde_json::from_str(arguments).unwrap());
    }
}

#[tokio::test]
async fn tools_are_called_once_and_their_results_answered() {
    let server = Server::start();
    let first = server.post(CHAT, &ask(json!({"tools": tools()}))).await.json();
    let call = first["choices"][0]["message"].clone();
    let id = call["tool_calls"][0]["id"].clone();
    let result = json!({"role": "tool", "tool_call_id": id, "content": "ten seconds"});
    let mut body = ask(json!({"tools": tools()}));
    body["messages"].as_array_mut().unwrap().extend([call, result]);
    let second = server.post(CHAT, &body).await.json();
    assert_eq!(second["choices"][0]["finish_reason"], "stop");
    assert!(second["choices"][0]["message"]["content"].is_string());
    let named = json!({"type": "function", "function": {"name": "find"}});
    let named = server.post(CHAT, &ask(json!({"tools": tools(), "tool_choice": named}))).await.json();
    assert_eq!(
        named["choices"][0]["finish_reason"], "stop",
        "as openai ends calls that were demanded by name"
    );
    assert!(named["choices"][0]["message"]["tool_calls"].is_array());
}

#[tokio::test]
async fn a_schema_is_fitted() {
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema()}});
    let answer = Server::start().post(CHAT, &ask(json!({"response_format": format}))).await.json();
    assert_fits(&serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap());
}

#[tokio::test]
async fn a_schema_that_holds_itself_is_fitted() {
    let tree = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 5},
            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            "many": {"type": "array", "items": {"$ref": "#/$defs/node"}},
        },
        "required": ["name", "next", "many"],
        "additionalProperties": false,
    });
    let schema = json!({"$ref": "#/$defs/node", "$defs": {"node": tree}, "additionalProperties": false});
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema}});
    let answers = json!({"answers": {"max_tokens": 100}});
    let answer = Server::with(answers).post(CHAT, &ask(json!({"response_format": format}))).await.json();
    let mut node: Value =
        serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    let mut depth = 0;
    while !node.is_null() {
        assert!(node["name"].as_str().unwrap().len() <= 5 && node["many"].is_array(), "{node}");
        node = node["next"].take();
        depth += 1;
    }
    assert!(depth > 1);
}

#[tokio::test]
async fn chunks_are_padded_unless_asked_otherwise() {
    let server = Server::start();
    let padded = server.post(CHAT, &ask(json!({"stream": true}))).await.data("\n\n");
    assert!(padded.iter().all(|chunk| chunk["obfuscation"].is_string()));
    let options = json!({"include_obfuscation": false});
    let plain =
        server.post(CHAT, &ask(json!({"stream": true, "stream_options": options}))).await.data("\n\n");
    assert!(plain.iter().all(|chunk| chunk.get("obfuscation").is_none()));
}

#[tokio::test]
async fn answers_end_at_their_limit_and_at_stop_sequences() {
    let server = Server::start();
    let whole = server.post(CHAT, &ask(json!({}))).await.json();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    let short = server.post(CHAT, &ask(json!({"max_completion_tokens": 3}))).await.json();
    assert_eq!(short["choices"][0]["finish_reason"], "length");
    assert_eq!(short["usage"]["completion_tokens"], 3);
    let third = text.split(' ').nth(2).unwrap();
    let stopped = server.post(CHAT, &ask(json!({"stop": third}))).await.json();
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    assert_eq!(stopped["choices"][0]["message"]["content"], text.split(third).next().unwrap());
}

#[tokio::test]
async fn requests_are_refused_in_openais_words() {
    let server = Server::with(json!({"models": [{"name": "m", "context_tokens": 20}]}));
    let null = Value::Null;
    let cases = [
        (json!({"messages": []}), 400, null.clone(), null.clone()),
        (ask(json!({"model": "other"})), 404, null.clone(), json!("model_not_found")),
        (json!({"model": "m"}), 400, json!("messages"), json!("missing_required_parameter")),
        (json!({"model": "m", "messages": []}), 400, json!("messages"), json!("empty_array")),
        (
            json!({"model": "m", "messages": [{"role": "robot", "content": "x"}]}),
            400,
            json!("messages[0].role"),
            json!("invalid_value"),
        ),
        (
            json!({"model": "m", "messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]}),
            400,
            json!("messages.[0].role"),
            null.clone(),
        ),
        (ask(json!({"max_tokens": 0})), 400, json!("max_tokens"), json!("integer_below_min_value")),
        (ask(json!({"tool_choice": "required"})), 400, json!("tool_choice"), null.clone()),
        (
            ask(json!({"messages": [{"role": "user", "content": "x".repeat(100)}]})),
            400,
            json!("messages"),
            json!("context_length_exceeded"),
        ),
    ];
    for (body, status, param, code) in cases {
        assert_error(&server.post(CHAT, &body).await, status, &param, &code);
    }
    let torn = server.send("POST", CHAT, &[], "{\"model\"".to_owned()).await;
    assert_error(&torn, 400, &null, &null);
    assert_error(&server.post("/v1/nothing", &json!({})).await, 404, &null, &null);
    let tolerated = server.post(CHAT, &ask(json!({"a_field_of_next_year": 1}))).await;
    assert_eq!((tolerated.status, tolerated.header("x-request-id").is_empty()), (200, false));
}

#[tokio::test]
async fn a_list_of_keys_refuses_others() {
    let server = Server::with(json!({"keys": [{"key": "sk-a"}]}));
    assert_error(&server.post(CHAT, &ask(json!({}))).await, 401, &Value::Null, &Value::Null);
    let with = |key: &'static str| {
        let body = ask(json!({})).to_string();
        let server = &server;
        async move { server.send("POST", CHAT, &[("authorization", key)], body).await }
    };
    assert_error(&with("Bearer sk-b").await, 401, &Value::Null, &json!("invalid_api_key"));
    assert_eq!(with("Bearer sk-a").await.status, 200);
    assert_eq!(server.stats().await["by_status"], json!({"200": 1, "401": 2}));
}

#[tokio::test]
async fn a_prefix_that_was_seen_is_cached_within_the_prompts_tokens() {
    let server = Server::with(json!({"cache": {"min_tokens": 16, "block_tokens": 8}}));
    let rules = json!({"role": "system", "content": "x".repeat(400)});
    let body = |question: &str, key: &str| {
        let question = json!({"role": "user", "content": question});
        json!({"model": "m", "messages": [rules, question], "prompt_cache_key": key})
    };
    let usage = async |question: &str, key: &str| {
        server.post(CHAT, &body(question, key)).await.json()["usage"].clone()
    };
    let first = usage("one?", "a").await;
    assert_eq!(
        (&first["prompt_tokens"], &first["prompt_tokens_details"]["cached_tokens"]),
        (&json!(101), &json!(0))
    );
    let second = usage("two?", "a").await;
    assert_eq!(
        (&second["prompt_tokens"], &second["prompt_tokens_details"]["cached_tokens"]),
        (&json!(101), &json!(96))
    );
    assert_eq!(usage("two?", "b").await["prompt_tokens_details"]["cached_tokens"], 0, "keys part prompts");
}

#[tokio::test]
async fn equal_texts_have_equal_vectors() {
    let server = Server::start();
    let answer =
        server.post("/v1/embeddings", &json!({"model": "e", "input": ["a b", "b a", "a b"]})).await.json();
    let vector = |place: usize| answer["data"][place]["embedding"].clone();
    assert_eq!(vector(0), vector(2));
    assert_ne!(vector(0), vector(1));
    assert_eq!(vector(0).as_array().unwrap().len(), 256);
    let short = json!({"model": "e", "input": "a b", "dimensions": 4, "encoding_format": "base64"});
    let short = server.post("/v1/embeddings", &short).await.json();
    assert_eq!(short["data"][0]["embedding"].as_str().unwrap().len(), "4 floats are 16 bytes!!!".len());
    assert_eq!(short["usage"], json!({"prompt_tokens": 1, "total_tokens": 1}));
    let empty = server.post("/v1/embeddings", &json!({"model": "e", "input": []})).await;
    assert_eq!(empty.status, 400);
}
