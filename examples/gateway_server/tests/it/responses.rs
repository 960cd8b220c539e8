use async_openai::types::responses::{OutputItem, ResponseStreamEvent, Status};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::client::{http, openai, post, typed};
use crate::server::{KEY, Server};

#[tokio::test]
async fn an_input_is_answered_whole() {
    let server = Server::start("");
    let request = typed(hello(&json!({"instructions": "Be brief.", "max_output_tokens": 5})));
    let response = openai(&server, KEY).responses().create(request).await.unwrap();
    assert_eq!(response.status, Status::Incomplete);
    assert_eq!(
        response.instructions.map(|text| serde_json::to_value(text).unwrap()),
        Some(json!("Be brief."))
    );
    let OutputItem::Message(message) = &response.output[0] else { panic!("no message") };
    let text = serde_json::to_value(&message.content[0]).unwrap();
    assert_eq!(text["text"].as_str().unwrap().split(' ').count(), 5);
    assert_eq!(response.usage.unwrap().output_tokens, 5);
}

#[tokio::test]
async fn a_stream_says_the_same_as_its_last_event() {
    let server = Server::start("");
    let request = typed(hello(&json!({"stream": true})));
    let mut stream = openai(&server, KEY).responses().create_stream(request).await.unwrap();
    let (mut text, mut whole, mut last) = (String::new(), None, None);
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            ResponseStreamEvent::ResponseOutputTextDelta(event) => text.push_str(&event.delta),
            ResponseStreamEvent::ResponseOutputTextDone(event) => whole = Some(event.text),
            ResponseStreamEvent::ResponseCompleted(event) => last = Some(event.response),
            _ => {}
        }
    }
    assert!(!text.is_empty());
    assert_eq!(whole.as_deref(), Some(text.as_str()));
    let output = serde_json::to_value(&last.unwrap().output).unwrap();
    assert_eq!(output[0]["content"][0]["text"], json!(text));
}

#[tokio::test]
async fn a_demanded_tool_is_called_and_its_result_goes_on() {
    let server = Server::start("");
    let tools = json!({
        "tools": [{"type": "function", "name": "look_up", "parameters": {"type": "object"}, "strict": false}],
        "tool_choice": "required",
    });
    let client = openai(&server, KEY);
    let response = client.responses().create(typed(hello(&tools))).await.unwrap();
    let OutputItem::FunctionCall(call) = &response.output[0] else { panic!("no call") };
    assert_eq!((call.name.as_str(), call.arguments.as_str()), ("look_up", "{}"));

    let mut request = hello(&tools);
    request["stream"] = json!(true);
    let mut stream = client.responses().create_stream(typed(request)).await.unwrap();
    let mut told = Vec::new();
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            ResponseStreamEvent::ResponseOutputItemAdded(event) => {
                let OutputItem::FunctionCall(call) = event.item else { panic!("no call") };
                told.push(format!("{} {}", call.name, call.arguments));
            }
            ResponseStreamEvent::ResponseFunctionCallArgumentsDelta(event) => told.push(event.delta),
            ResponseStreamEvent::ResponseFunctionCallArgumentsDone(event) => told.push(event.arguments),
            _ => {}
        }
    }
    assert_eq!(told, ["look_up ", "{}", "{}"]);

    let input = json!({"input": [
        {"type": "message", "role": "user", "content": "How long?"},
        response.output[0],
        {"type": "function_call_output", "call_id": call.call_id, "output": "ten seconds"},
    ]});
    let (status, body) = post(&server, "/v1/responses", &hello(&input)).await;
    assert_eq!((status, &body["status"]), (200, &json!("completed")), "{body}");
}

#[tokio::test]
async fn a_stream_that_breaks_off_failed() {
    let server = Server::start("[simulator]\nbreak_rate = 1.0\nmin_output_tokens = 40\nseed = 3");
    let request = http().post(server.url("/v1/responses")).bearer_auth(KEY);
    let text = request.json(&hello(&json!({"stream": true}))).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("event: error\n") && text.contains("event: response.failed\n"), "{text}");
    assert!(!text.contains("response.completed"));
}

#[tokio::test]
async fn a_conversation_that_would_be_stored_here_is_refused() {
    let server = Server::start("");
    let (status, body) =
        post(&server, "/v1/responses", &hello(&json!({"previous_response_id": "resp_1"}))).await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("previous_response_id")));
}

fn hello(fields: &Value) -> Value {
    let mut body = json!({"model": "simulated", "input": "Hello"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}
