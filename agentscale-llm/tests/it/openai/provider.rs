use agentscale_core::llm::{
    CompletionEvent, CompletionRequest, Content, EmbeddingRequest, FinishReason, LlmProvider, Message,
    ResponseFormat, Role, ToolCall, ToolChoice, ToolSpec, Usage,
};
use agentscale_core::{ErrorKind, Json};
use agentscale_llm::openai::{OpenAiConfig, OpenAiProvider, TokenLimitField};
use serde_json::json;

use super::provider_at;
use crate::server::{Part, Reply, Server};

const ANSWER: &str = r#"{"id":"x","model":"small-1","choices":[{"index":0,"message":{"role":"assistant","content":"ten seconds","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long?")])
}

#[tokio::test]
async fn a_request_says_all_that_was_asked() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let call = ToolCall::new("c1", "find", Json::parse(r#"{"q":1}"#).unwrap());
    let result = Content::ToolResult { call_id: "c1".into(), text: "none".into(), failed: true };
    let mut request = CompletionRequest::new(vec![
        Message::system("Be short."),
        Message::user("How long?").with_document("a.md:7", "Ten seconds."),
        Message::new(Role::Assistant, vec![Content::ToolCall(call)]),
        Message::new(Role::Tool, vec![result]),
    ])
    .with_max_tokens(50)
    .with_temperature(0.5)
    .with_tools(vec![ToolSpec {
        name: "find".into(),
        description: "Finds.".into(),
        parameters: Json::parse(r#"{"type":"object"}"#).unwrap(),
    }])
    .with_response_format(ResponseFormat::JsonSchema {
        name: "answer".into(),
        schema: Json::parse("{}").unwrap(),
    });
    request.tool_choice = ToolChoice::Tool("find".into());
    request.stop = vec!["END".into()];
    request.seed = Some(7);
    provider_at(&server).complete(request).await.unwrap();

    let recorded = &server.requests()[0];
    assert_eq!(recorded.path, "/v1/chat/completions");
    assert!(recorded.head.contains("authorization: bearer sk-secret-key"));
    let expected = json!({
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "How long?\n\n[a.md:7]\nTen seconds."},
            {"role": "assistant", "content": null, "tool_calls":
                [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{\"q\":1}"}}]},
            {"role": "tool", "content": "error: none", "tool_call_id": "c1"},
        ],
        "tools": [{"type": "function", "function":
            {"name": "find", "description": "Finds.", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "find"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}, "strict": true}},
        "max_tokens": 50, "temperature": 0.5, "stop": ["END"], "seed": 7,
    });
    assert_eq!(recorded.body, expected);
}

#[tokio::test]
async fn an_object_is_asked_for_by_its_type() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let request = ask().with_response_format(ResponseFormat::JsonObject);
    provider_at(&server).complete(request).await.unwrap();
    assert_eq!(server.requests()[0].body["response_format"], json!({"type": "json_object"}));
}

#[tokio::test]
async fn an_answer_is_read_and_the_connection_used_again() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let provider = provider_at(&server);
    for _ in 0..2 {
        let answer = provider.complete(ask().with_model("other")).await.unwrap();
        assert_eq!((answer.text().as_str(), answer.finish_reason), ("ten seconds", FinishReason::Stop));
        assert_eq!((answer.usage, answer.model.as_str()), (Usage::new(9, 2), "small-1"));
    }
    assert_eq!(server.requests()[1].body["model"], "other");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn whole_tool_calls_are_read() {
    let body = r#"{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[
        {"id":"a","type":"function","function":{"name":"find","arguments":"{\"q\": 1}"}},
        {"type":"function","function":{"name":"now","arguments":""}}]},"finish_reason":"tool_calls"}]}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let answer = provider_at(&server).complete(ask()).await.unwrap();
    let calls: Vec<_> =
        answer.message.tool_calls().map(|call| (&*call.id, &*call.name, call.arguments.as_str())).collect();
    assert_eq!(calls, [("a", "find", "{\"q\": 1}"), ("call_1", "now", "{}")]);
}

#[tokio::test]
async fn a_stream_gives_parts_as_they_come() {
    let first = "data: {\"choices\":[{\"delta\":{\"content\":\"ten \"}}]}\n\n";
    let last = "data: {\"choices\":[{\"delta\":{\"content\":\"s\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    // The connection stays open behind `[DONE]`, as some proxies leave it.
    let reply = Reply::sse(first).then(Part::Bytes(last.into())).then(Part::Hang);
    let server = Server::replying(reply).await;
    let mut stream = provider_at(&server).stream(ask()).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    assert_eq!(events[..2], [CompletionEvent::Text("ten ".into()), CompletionEvent::Text("s".into())]);
    let [_, _, CompletionEvent::Finished(answer)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(answer.text(), "ten s");
    let body = &server.requests()[0].body;
    assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
}

#[tokio::test]
async fn an_answer_in_one_piece_is_a_stream_too() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let answer = provider_at(&server).stream(ask()).await.unwrap().collect().await.unwrap();
    assert_eq!(answer.text(), "ten seconds");
}

#[tokio::test]
async fn dropping_a_call_or_a_stream_drops_the_connection() {
    let part = "data: {\"choices\":[{\"delta\":{\"content\":\"ten \"}}]}\n\n";
    let mut server = Server::replying(Reply::sse(part).then(Part::Hang)).await;
    let provider = provider_at(&server);
    let mut stream = provider.stream(ask()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    server.client_gone().await;

    let call = tokio::spawn({
        let provider = provider.clone();
        async move { provider.complete(ask()).await }
    });
    while server.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    call.abort();
    server.client_gone().await;
}

#[tokio::test]
async fn embeddings_come_in_the_order_of_their_texts() {
    let body = r#"{"model":"e-1","data":[{"index":1,"embedding":[0.5,1.0]},{"index":0,"embedding":[0.25,2]}],
        "usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let request = || EmbeddingRequest::new(vec!["a".into(), "b".into()]).with_model("e");
    let embeddings = provider_at(&server).embed(request()).await.unwrap();
    assert_eq!(embeddings.vectors, [[0.25, 2.0], [0.5, 1.0]]);
    assert_eq!((embeddings.usage, embeddings.model.as_str()), (Usage::new(4, 0), "e-1"));
    assert_eq!(server.requests()[0].path, "/v1/embeddings");

    for wrong in [
        r#"{"data":[{"index":0,"embedding":[1]}]}"#,
        r#"{"data":[{"embedding":[1]},{"embedding":[]}]}"#,
        r#"{"data":[{"index":1,"embedding":[1]},{"index":1,"embedding":[2]}]}"#,
        "{}",
    ] {
        let server = Server::replying(Reply::json(200, wrong)).await;
        assert_eq!(provider_at(&server).embed(request()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn the_token_limit_has_the_name_that_the_server_knows() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let mut config = OpenAiConfig::new().with_base_url(format!("{}/", server.url)).with_model("m");
    config.token_limit_field = TokenLimitField::MaxCompletionTokens;
    OpenAiProvider::new(&config).unwrap().complete(ask().with_max_tokens(5)).await.unwrap();
    let recorded = &server.requests()[0];
    assert_eq!((&recorded.body["max_completion_tokens"], recorded.body.get("max_tokens")), (&json!(5), None));
    assert_eq!(recorded.path, "/v1/chat/completions");
}

#[test]
fn a_configuration_is_checked_and_never_shows_its_key() {
    let with_url = |url: &str| OpenAiProvider::new(&OpenAiConfig::new().with_base_url(url));
    for url in ["", "localhost:11434", "ftp://host/v1", "http://"] {
        assert_eq!(with_url(url).unwrap_err().kind(), ErrorKind::InvalidInput, "{url}");
    }
    let broken_key = OpenAiConfig::new().with_base_url("http://localhost/v1").with_api_key("sk\nsecret");
    let error = OpenAiProvider::new(&broken_key).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error:?} {broken_key:?}").contains("secret"));

    let config = OpenAiConfig::new().with_base_url("http://localhost/v1").with_api_key("sk-secret-key");
    let provider = OpenAiProvider::new(&config).unwrap();
    assert!(!format!("{provider:?} {config:?}").contains("secret-key"));
    assert!(serde_json::from_value::<OpenAiConfig>(json!({"base": "x"})).is_err());
    assert!(
        serde_json::from_value::<OpenAiConfig>(json!({"api_key": "x", "token_limit_field": "auto"})).is_ok()
    );
}

#[tokio::test]
async fn a_request_without_a_model_or_messages_is_refused_before_it_is_sent() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let provider = OpenAiProvider::new(&OpenAiConfig::new().with_base_url(&server.url)).unwrap();
    assert_eq!(provider.complete(ask()).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let empty = CompletionRequest::new(Vec::new()).with_model("m");
    assert_eq!(provider.stream(empty).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_query_of_the_address_goes_with_each_call() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let config = OpenAiConfig::new().with_base_url(format!("{}/?api-version=1", server.url)).with_model("m");
    OpenAiProvider::new(&config).unwrap().complete(ask()).await.unwrap();
    assert_eq!(server.requests()[0].path, "/v1/chat/completions?api-version=1");
}
