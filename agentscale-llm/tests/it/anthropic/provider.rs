use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::Json;
use agentscale_core::llm::{
    CompletionEvent, CompletionRequest, Content, FinishReason, LimitedUnit, LlmProvider, Message, RateLimits,
    ResponseFormat, Usage,
};
use agentscale_llm::anthropic::{AnthropicConfig, AnthropicProvider};
use serde_json::json;

use super::{ANSWER, provider_at};
use crate::server::{Part, Reply, Server};

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long?")])
}

#[tokio::test]
async fn an_answer_is_read_with_what_the_cache_gave() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let answer = provider_at(&server).complete(ask()).await.unwrap();
    assert_eq!((answer.text().as_str(), answer.finish_reason), ("ten seconds", FinishReason::Stop));
    assert_eq!(answer.usage, Usage::new(16, 2).with_cached(4).with_cache_write(3));
    assert_eq!(answer.model, "claude-sonnet-4-5");
}

#[tokio::test]
async fn whole_thoughts_and_calls_are_read() {
    let body = r#"{"id":"m","model":"c","stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2},
        "content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"server_tool_use","id":"s","name":"web_search","input":{}},
        {"type":"tool_use","id":"t1","name":"find","input":{"q": 1}},{"type":"tool_use","id":"t2","name":"now","input":{}}]}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let provider = provider_at(&server);
    let answer = provider.complete(ask()).await.unwrap();
    let calls: Vec<_> =
        answer.message.tool_calls().map(|call| (&*call.id, &*call.name, call.arguments.as_str())).collect();
    assert_eq!(calls, [("t1", "find", r#"{"q": 1}"#), ("t2", "now", "{}")]);
    let Content::Reasoning(thought) = &answer.message.content[0] else { panic!("{answer:?}") };
    assert_eq!(thought.opaque_of("anthropic").unwrap().as_str(), r#"{"signature":"c2ln"}"#);
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);

    // What was thought goes back as it came.
    let mut again = ask();
    again.messages.push(answer.message);
    provider.complete(again).await.unwrap();
    let sent = &server.requests()[1].body["messages"][1]["content"];
    assert_eq!(sent[0], json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}));
}

#[tokio::test]
async fn the_input_of_the_answers_tool_is_the_text() {
    let body = r#"{"id":"m","model":"c","stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2},
        "content":[{"type":"tool_use","id":"t1","name":"answer","input":{"seconds": 10}}]}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let schema = ResponseFormat::JsonSchema { name: "answer".into(), schema: Json::parse("{}").unwrap() };
    let request = ask().with_model("claude-3-5-haiku").with_response_format(schema);
    let answer = provider_at(&server).complete(request.clone()).await.unwrap();
    assert_eq!((answer.text().as_str(), answer.finish_reason), (r#"{"seconds": 10}"#, FinishReason::Stop));
    let streamed = provider_at(&server).stream(request).await.unwrap().collect().await.unwrap();
    assert_eq!(streamed, answer);
}

#[tokio::test]
async fn a_stream_gives_parts_as_they_come() {
    let begun = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3}}}\n\n\
        data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"ten \"}}\n\n";
    let rest = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"s\"}}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n\
        data: {\"type\":\"message_stop\"}\n\n";
    let reply = Reply::sse(begun).then(Part::Bytes(rest.into())).then(Part::Hang);
    let server = Server::replying(reply.header("anthropic-ratelimit-requests-remaining", "7")).await;
    let mut stream = provider_at(&server).stream(ask()).await.unwrap();
    assert_eq!(stream.rate_limits().get(LimitedUnit::Requests).unwrap().remaining, Some(7));
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    let [CompletionEvent::Text(first), CompletionEvent::Text(second), CompletionEvent::Finished(answer)] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((first.as_str(), second.as_str()), ("ten ", "s"));
    assert_eq!((answer.text().as_str(), answer.usage), ("ten s", Usage::new(3, 2)));
    assert_eq!(server.requests()[0].body["stream"], true);
}

#[tokio::test]
async fn what_the_server_says_of_its_limits_goes_with_answers_and_errors() {
    let told = |reply: Reply| {
        reply
            .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .header("anthropic-ratelimit-input-tokens-limit", "50000")
            .header("anthropic-ratelimit-input-tokens-remaining", "0")
            .header("anthropic-ratelimit-input-tokens-reset", "1994-11-06T08:49:57Z")
            .header("anthropic-ratelimit-output-tokens-remaining", "nonsense")
    };
    let check = |limits: &RateLimits| {
        let hit = limits.hit().unwrap();
        assert_eq!(
            (hit.unit, hit.limit, hit.reset),
            (LimitedUnit::InputTokens, Some(50_000), Some(Duration::from_secs(20)))
        );
        assert_eq!(limits.limits.len(), 1);
    };
    let server = Server::replying(told(Reply::json(200, ANSWER))).await;
    check(&provider_at(&server).complete(ask()).await.unwrap().rate_limits);
    let refused =
        told(Reply::json(429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#));
    let server = Server::replying(refused.header("retry-after", "20").header("request-id", "req_01")).await;
    let error = provider_at(&server).complete(ask()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(20))));
    assert_eq!(error.context("request_id"), Some("req_01"));
    check(RateLimits::of(&error).unwrap());
}

#[test]
fn a_configuration_is_checked_and_never_shows_its_key() {
    let local = || AnthropicConfig::new().with_base_url("http://localhost/v1").with_api_key("sk-secret-key");
    let mut broken_version = local();
    broken_version.version = "a\nb".into();
    for broken in [
        local().with_base_url("localhost"),
        local().with_api_key("sk\nsecret"),
        local().with_max_tokens(0),
        local().with_beta(["a\nb"]),
        broken_version,
    ] {
        let error = AnthropicProvider::new(&broken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{broken:?}");
        assert!(!format!("{error:?} {broken:?}").contains("secret"));
    }
    let provider = AnthropicProvider::new(&local()).unwrap();
    assert!(!format!("{provider:?}").contains("secret-key"));
    assert!(serde_json::from_value::<AnthropicConfig>(json!({"base": "x"})).is_err());
    assert!(
        serde_json::from_value::<AnthropicConfig>(json!({"thinking": "adaptive", "beta": ["x"]})).is_ok()
    );
}
