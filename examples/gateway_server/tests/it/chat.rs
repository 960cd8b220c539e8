use async_openai::types::chat::FinishReason;
use futures::StreamExt;
use serde_json::json;

use crate::client::{hello, hello_with, http, openai, post, typed};
use crate::server::{KEY, Server};

#[tokio::test]
async fn anyone_can_try_the_demo_with_its_key() {
    let server = Server::demo();
    let answer = openai(&server, "demo").chat().create(typed(hello())).await.unwrap();
    assert!(answer.choices[0].message.content.as_ref().is_some_and(|text| !text.is_empty()));
}

#[tokio::test]
async fn an_answer_has_its_text_its_reason_and_its_usage() {
    let server = Server::start("");
    let request = typed(hello_with(json!({"max_completion_tokens": 5})));
    let answer = openai(&server, KEY).chat().create(request).await.unwrap();
    assert_eq!(answer.model, "simulated");
    assert_eq!(answer.choices[0].message.content.as_ref().unwrap().split(' ').count(), 5);
    assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Length));
    let usage = answer.usage.unwrap();
    assert_eq!((usage.completion_tokens, usage.total_tokens), (5, usage.prompt_tokens + 5));
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_whole_and_ends_with_its_usage() {
    let server = Server::start("");
    let options = json!({"max_tokens": 7, "stream": true, "stream_options": {"include_usage": true}});
    let mut stream = openai(&server, KEY).chat().create_stream(typed(hello_with(options))).await.unwrap();
    let (mut text, mut reason, mut usage) = (String::new(), None, None);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        for choice in &chunk.choices {
            text.push_str(choice.delta.content.as_deref().unwrap_or_default());
            reason = choice.finish_reason.or(reason);
        }
        usage = chunk.usage.or(usage);
    }
    assert_eq!(text.split_whitespace().count(), 7);
    assert_eq!(reason, Some(FinishReason::Length));
    assert_eq!(usage.unwrap().completion_tokens, 7);
}

#[tokio::test]
async fn a_stream_ends_with_done_and_is_kept_by_no_proxy() {
    let server = Server::start("");
    let body = hello_with(json!({"stream": true}));
    let request = http().post(server.url("/v1/chat/completions")).bearer_auth(KEY).json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_demanded_tool_is_called_whole_and_in_a_stream() {
    let server = Server::start("");
    let tools = json!({
        "tools": [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}],
        "tool_choice": "required",
    });
    let client = openai(&server, KEY);
    let answer = client.chat().create(typed(hello_with(&tools))).await.unwrap();
    assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::ToolCalls));
    let calls = serde_json::to_value(answer.choices[0].message.tool_calls.as_ref().unwrap()).unwrap();
    assert_eq!(calls[0]["function"], json!({"name": "look_up", "arguments": "{}"}));

    let mut request = hello_with(&tools);
    request["stream"] = json!(true);
    let mut stream = client.chat().create_stream(typed(request)).await.unwrap();
    let (mut names, mut arguments) = (Vec::new(), String::new());
    while let Some(chunk) = stream.next().await {
        let choices = chunk.unwrap().choices;
        let calls = choices.into_iter().filter_map(|choice| choice.delta.tool_calls).flatten();
        for function in calls.filter_map(|call| call.function) {
            names.extend(function.name);
            arguments.push_str(&function.arguments.unwrap_or_default());
        }
    }
    assert_eq!((names, arguments.as_str()), (vec!["look_up".to_owned()], "{}"));
}

#[tokio::test]
async fn a_conversation_with_a_tools_result_goes_on() {
    let server = Server::start("");
    let call =
        json!({"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}});
    let messages = json!({"messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "How long?"}]},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "ten seconds"},
    ]});
    let answer = openai(&server, KEY).chat().create(typed(hello_with(messages))).await.unwrap();
    assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Stop));
}

#[tokio::test]
async fn fields_that_nobody_knows_are_passed_over() {
    let server = Server::start("");
    let (status, _) =
        post(&server, "/v1/chat/completions", &hello_with(json!({"store": true, "new_in_2030": [1]}))).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn what_the_model_cannot_do_is_refused_and_not_half_done() {
    let server = Server::start("");
    let schema = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}});
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://host/i.png"}}]}]);
    let object = json!({"type": "json_object"});
    for fields in [
        json!({"n": 2}),
        json!({"response_format": schema}),
        json!({"response_format": object}),
        json!({"messages": image}),
    ] {
        let (status, body) = post(&server, "/v1/chat/completions", &hello_with(&fields)).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!("unsupported_value")), "{fields}");
    }
}
