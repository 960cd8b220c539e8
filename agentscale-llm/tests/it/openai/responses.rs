use agentscale_core::llm::{
    CompletionEvent, CompletionRequest, Content, EmbeddingRequest, FinishReason, Image, LlmProvider, Message,
    PartialAnswer, PromptCache, ReasoningEffort, ResponseFormat, Role, ToolChoice, ToolSpec, Usage,
};
use agentscale_core::{ErrorKind, Json};
use agentscale_llm::openai::{OpenAiConfig, OpenAiResponsesProvider};
use serde_json::json;

use crate::server::{Reply, Server};

const CALL: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"small-1","error":null,
    "incomplete_details":null,"output":[
    {"id":"rs_1","type":"reasoning","encrypted_content":"gAAA","summary":[{"type":"summary_text","text":"I look."}]},
    {"id":"fc_1","type":"function_call","status":"completed","call_id":"c1","name":"find","arguments":"{\"q\":1}"}],
    "usage":{"input_tokens":30,"input_tokens_details":{"cached_tokens":20,"cache_write_tokens":4},"output_tokens":9,
    "output_tokens_details":{"reasoning_tokens":5}}}"#;

fn provider_at(server: &Server) -> OpenAiResponsesProvider {
    let config =
        OpenAiConfig::new().with_base_url(&server.url).with_api_key("sk-secret-key").with_model("small");
    OpenAiResponsesProvider::new(&config).unwrap()
}

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long?")])
}

#[tokio::test]
async fn a_request_says_all_that_was_asked() {
    let server = Server::replying(Reply::json(200, CALL)).await;
    let mut request = CompletionRequest::new(vec![
        Message::system("Be short."),
        Message::user("How long?").with_document("a.md:7", "Ten seconds."),
        Message::user("And this?").with_image(Image::inline("image/png", &[1, 2, 3])),
    ])
    .with_max_tokens(50)
    .with_temperature(0.5)
    .with_reasoning_effort(ReasoningEffort::High)
    .with_prompt_cache(PromptCache::new().with_key("tenant-a").with_long_retention())
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
    request.top_p = Some(0.25);
    provider_at(&server).complete(request).await.unwrap();

    let recorded = &server.requests()[0];
    assert_eq!(recorded.path, "/v1/responses");
    assert!(recorded.head.contains("authorization: bearer sk-secret-key"));
    let expected = json!({
        "model": "small",
        "input": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "How long?\n\n[a.md:7]\nTen seconds."},
            {"role": "user", "content": [
                {"type": "input_text", "text": "And this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AQID", "detail": "auto"}]},
        ],
        "tools": [{"type": "function", "name": "find", "description": "Finds.", "parameters": {"type": "object"},
            "strict": false}],
        "tool_choice": {"type": "function", "name": "find"},
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": {}, "strict": true}},
        "max_output_tokens": 50, "temperature": 0.5, "top_p": 0.25, "reasoning": {"effort": "high"},
        "store": false, "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "tenant-a", "prompt_cache_options": {"ttl": "30m"},
    });
    assert_eq!(recorded.body, expected);
}

#[tokio::test]
async fn an_object_is_asked_for_by_its_type() {
    let server = Server::replying(Reply::json(200, CALL)).await;
    provider_at(&server).complete(ask().with_response_format(ResponseFormat::JsonObject)).await.unwrap();
    assert_eq!(server.requests()[0].body["text"], json!({"format": {"type": "json_object"}}));
}

#[tokio::test]
async fn thoughts_and_calls_go_back_as_they_came() {
    let server = Server::replying(Reply::json(200, CALL)).await;
    let provider = provider_at(&server);
    let answer = provider.complete(ask()).await.unwrap();
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    assert_eq!(answer.usage, Usage::new(30, 9).with_cached(20).with_cache_write(4).with_reasoning(5));
    // As a journal would keep it.
    let message: Message = serde_json::from_str(&serde_json::to_string(&answer.message).unwrap()).unwrap();
    let result = Content::ToolResult { call_id: "c1".into(), text: "none".into(), failed: true };
    let conversation = vec![Message::user("How long?"), message, Message::new(Role::Tool, vec![result])];
    provider.complete(CompletionRequest::new(conversation)).await.unwrap();
    let expected = json!([
        {"role": "user", "content": "How long?"},
        {"id": "rs_1", "type": "reasoning", "encrypted_content": "gAAA",
            "summary": [{"type": "summary_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{\"q\":1}"},
        {"type": "function_call_output", "call_id": "c1", "output": "error: none"},
    ]);
    assert_eq!(server.requests()[1].body["input"], expected);
}

#[tokio::test]
async fn models_that_do_not_think_are_not_asked_to() {
    let server = Server::replying(Reply::json(200, CALL)).await;
    let request = ask().with_model("gpt-4.1-mini").with_reasoning_effort(ReasoningEffort::Low);
    provider_at(&server).complete(request).await.unwrap();
    let body = &server.requests()[0].body;
    assert_eq!((body.get("reasoning"), body.get("include")), (None, None));
}

#[tokio::test]
async fn a_stream_and_a_whole_answer_are_streams() {
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{rest}}}\n\n");
    let events = event("response.output_text.delta", r#""output_index":0,"delta":"ten""#)
        + &event("response.completed", r#""response":{"status":"completed","usage":{"input_tokens":3}}"#);
    let server = Server::replying(Reply::sse(&events)).await;
    let mut stream = provider_at(&server).stream(ask()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), CompletionEvent::Text("ten".into()));
    let answer = stream.collect().await.unwrap();
    assert_eq!((answer.text(), answer.usage, answer.model), ("ten".into(), Usage::new(3, 0), "small".into()));
    assert_eq!(server.requests()[0].body["stream"], true);

    let server = Server::replying(Reply::json(200, CALL)).await;
    let answer = provider_at(&server).stream(ask()).await.unwrap().collect().await.unwrap();
    assert_eq!(answer.message.tool_calls().count(), 1);
}

#[tokio::test]
async fn an_answer_that_failed_or_is_not_done_is_an_error() {
    for (status, error, kind) in [
        ("failed", r#"{"code":"server_error","message":"m"}"#, ErrorKind::Unavailable),
        ("failed", r#"{"code":"invalid_prompt","message":"m"}"#, ErrorKind::ContentRefused),
        ("failed", r#"{"code":"image_too_large","message":"m"}"#, ErrorKind::TooLarge),
        ("failed", r#"{"code":"invalid_base64_image","message":"m"}"#, ErrorKind::InvalidInput),
        ("failed", "null", ErrorKind::Unavailable),
        ("in_progress", "null", ErrorKind::Unavailable),
    ] {
        let body = format!(
            r#"{{"status":"{status}","error":{error},"output":[],"usage":{{"input_tokens":7,"output_tokens":1}}}}"#
        );
        let server = Server::replying(Reply::json(200, &body)).await;
        let error = provider_at(&server).complete(ask()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{body}");
        assert_eq!(PartialAnswer::of(&error).unwrap().usage, Usage::new(7, 1));
    }
}

#[tokio::test]
async fn what_this_api_does_not_take_is_refused_before_it_is_sent() {
    let server = Server::replying(Reply::json(200, CALL)).await;
    let mut request = ask();
    request.stop = vec!["END".into()];
    assert_eq!(provider_at(&server).complete(request).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(server.requests().is_empty());
    let none = EmbeddingRequest::new(Vec::new()).with_model("e");
    assert!(provider_at(&server).embed(none).await.unwrap().vectors.is_empty());
}

#[tokio::test]
async fn a_stream_that_fails_says_why() {
    let begin = r#"{"type":"response.output_text.delta","output_index":0,"delta":"ten "}"#;
    let failed =
        r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded",
        "message":"Rate limit reached."},"usage":{"input_tokens":3,"output_tokens":1}}}"#
            .replace('\n', "");
    let server = Server::replying(Reply::sse(&format!("data: {begin}\n\ndata: {failed}\n\n"))).await;
    let error = provider_at(&server).stream(ask()).await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    let came = PartialAnswer::of(&error).unwrap();
    assert_eq!((came.message.text().as_str(), came.usage), ("ten ", Usage::new(3, 1)));
}
