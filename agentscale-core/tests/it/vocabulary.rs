//! What is said to and by models, as it is stored.

use agentscale_core::Json;
use agentscale_core::knowledge::{Embedder, ProviderEmbedder};
use agentscale_core::llm::{
    CallContext, Completion, CompletionRequest, Content, FinishReason, Image, LimitedUnit, LlmCapabilities,
    Message, PartialAnswer, PromptCache, RateLimit, RateLimits, Reasoning, Role, ToolCall, Usage,
};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::{Error, ErrorKind, Tenant};

#[test]
fn each_part_of_a_message_survives_its_encoding() {
    let json = Json::parse(r#"{"signature":"c2ln"}"#).unwrap();
    let parts = vec![
        Content::Text { text: "text".to_owned() },
        Content::Image(Image::url("https://example.org/a.png")),
        Content::Image(Image::inline("image/png", b"bytes")),
        Content::Reasoning(Reasoning::new("thought").with_opaque("anthropic", json)),
        Content::ToolCall(ToolCall::new("1", "find", Json::parse("{}").unwrap()).with_signature("s")),
        Content::ToolResult { call_id: "1".to_owned(), text: "found".to_owned(), failed: true },
    ];
    let message = Message::new(Role::Assistant, parts).with_cache_breakpoint();
    let mut request = CompletionRequest::new(vec![message]);
    request.prompt_cache = PromptCache::new().with_key("k").with_long_retention().with_stored("s");
    let text = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<CompletionRequest>(&text).unwrap(), request, "{text}");
}

#[test]
fn a_request_without_new_options_is_written_as_before() {
    let text = serde_json::to_string(&CompletionRequest::new(vec![Message::user("hi")])).unwrap();
    let expected = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"tool_choice":"auto","response_format":"text"}"#;
    assert_eq!(text, expected);
}

#[test]
fn limits_are_of_the_moment_and_not_stored() {
    let limits = RateLimits::new(vec![RateLimit::new(LimitedUnit::Requests).with_remaining(3)]);
    let answer = Completion::new(Message::assistant("a"), FinishReason::Stop, Usage::new(1, 1), "m");
    let told = answer.clone().with_rate_limits(limits);
    let text = serde_json::to_string(&told).unwrap();
    assert_eq!(serde_json::from_str::<Completion>(&text).unwrap(), answer);
}

#[test]
fn what_had_come_stands_between_an_error_and_its_source() {
    let broken = Error::new(ErrorKind::Unavailable, "read").with_source("connection reset");
    let came = PartialAnswer::new(Message::assistant("secret words"), Usage::new(7, 2), "m");
    let error = came.behind(broken);
    let found = PartialAnswer::of(&error).unwrap();
    assert_eq!((found.message.text().as_str(), found.usage), ("secret words", Usage::new(7, 2)));
    assert_eq!(std::error::Error::source(found).unwrap().to_string(), "connection reset");
    let shown = format!("{error} {error:?} {found} {found:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn a_providers_vectors_are_asked_for_in_the_callers_name() {
    let provider = ScriptedProvider::new().with_capabilities(LlmCapabilities::new().with_embeddings());
    let provider = provider.with_embeddings(vec![vec![1.0]]).with_embeddings(vec![vec![2.0]]);
    let embedder = std::sync::Arc::new(ProviderEmbedder::new(provider.clone(), "m", 1));
    let context = CallContext::new().with_tenant(Tenant::new("acme").unwrap());
    assert_eq!(embedder.embed_for(vec!["a".into()], &context).await.unwrap(), [[1.0]]);
    assert_eq!(embedder.embed(vec!["b".into()]).await.unwrap(), [[2.0]]);
    let asked = provider.embedding_requests();
    assert_eq!((&asked[0].context, &asked[1].context), (&context, &CallContext::new()));
}
