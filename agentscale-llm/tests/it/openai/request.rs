use agentscale_core::Json;
use agentscale_core::llm::{
    CompletionRequest, Content, Image, LlmProvider, Message, PromptCache, Reasoning, ReasoningEffort, Role,
    ToolCall,
};
use agentscale_llm::openai::{CacheRetentionField, OpenAiConfig, OpenAiProvider};
use serde_json::{Value, json};

use super::provider_at;
use crate::server::{Reply, Server};

const ANSWER: &str = r#"{"choices":[{"message":{"content":"ten"},"finish_reason":"stop"}]}"#;

async fn sent(request: CompletionRequest) -> Value {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    provider_at(&server).complete(request).await.unwrap();
    server.requests()[0].body.clone()
}

#[tokio::test]
async fn images_are_parts_of_their_message() {
    let message = Message::user("What is this?")
        .with_image(Image::url("https://host/a.png"))
        .with_image(Image::inline("image/png", &[1, 2, 3]))
        .with_document("a.md:1", "A lease.");
    let body = sent(CompletionRequest::new(vec![message])).await;
    let parts = json!([
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://host/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQID"}},
        {"type": "text", "text": "[a.md:1]\nA lease."},
    ]);
    assert_eq!(body["messages"], json!([{"role": "user", "content": parts}]));
}

#[tokio::test]
async fn words_of_the_assistant_are_gone_on_from_where_the_configuration_says_so() {
    let begun = CompletionRequest::new(vec![Message::user("How long?"), Message::assistant("It is")]);
    assert!(sent(begun.clone()).await.get("continue_final_message").is_none());
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let mut config = OpenAiConfig::new().with_base_url(&server.url).with_model("qwen3");
    config.continues = true;
    let provider = OpenAiProvider::new(&config).unwrap();
    assert!(provider.capabilities().continuation);
    provider.complete(begun).await.unwrap();
    provider.complete(CompletionRequest::new(vec![Message::user("How long?")])).await.unwrap();
    let (first, second) = (&server.requests()[0].body, &server.requests()[1].body);
    assert_eq!(first["messages"][1], json!({"role": "assistant", "content": "It is"}));
    assert_eq!(
        (&first["continue_final_message"], &first["add_generation_prompt"]),
        (&json!(true), &json!(false))
    );
    assert!(second.get("continue_final_message").is_none() && second.get("add_generation_prompt").is_none());
}

#[tokio::test]
async fn sampling_effort_and_cache_are_asked_for() {
    let mut request = CompletionRequest::new(vec![Message::user("How long?")])
        .with_reasoning_effort(ReasoningEffort::Low)
        .with_prompt_cache(PromptCache::new().with_key("tenant-a").with_long_retention());
    request.top_p = Some(0.5);
    let body = sent(request.clone()).await;
    assert_eq!((&body["top_p"], &body["reasoning_effort"]), (&json!(0.5), &json!("low")));
    assert_eq!(body["prompt_cache_key"], "tenant-a");
    assert_eq!(body["prompt_cache_options"], json!({"ttl": "30m"}));
    assert!(body.get("prompt_cache_retention").is_none());

    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let mut config = OpenAiConfig::new().with_base_url(&server.url).with_model("gpt-5.1");
    config.cache_retention_field = CacheRetentionField::Retention;
    OpenAiProvider::new(&config).unwrap().complete(request).await.unwrap();
    let body = &server.requests()[0].body;
    assert_eq!((&body["prompt_cache_retention"], body.get("prompt_cache_options")), (&json!("24h"), None));
}

#[tokio::test]
async fn thoughts_go_back_with_their_calls_under_the_name_that_they_came_under() {
    let call = Content::ToolCall(ToolCall::new("c1", "now", Json::parse("{}").unwrap()));
    let field = |name: &str| Json::encode(name).unwrap();
    let thought =
        |api: &str| Content::Reasoning(Reasoning::new("I look.").with_opaque(api, field("reasoning")));
    let assistant = |parts: Vec<Content>| Message::new(Role::Assistant, parts);
    let body = sent(CompletionRequest::new(vec![
        assistant(vec![thought("openai-chat"), call.clone()]),
        assistant(vec![thought("anthropic"), call]),
        assistant(vec![thought("openai-chat"), Content::Text { text: "ten".into() }]),
    ]))
    .await;
    let call = json!([{"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}]);
    let expected = json!([
        {"role": "assistant", "content": null, "reasoning": "I look.", "tool_calls": call},
        {"role": "assistant", "content": null, "tool_calls": call},
        {"role": "assistant", "content": "ten"},
    ]);
    assert_eq!(body["messages"], expected);
}

#[tokio::test]
async fn what_a_model_does_not_take_is_left_out() {
    for (model, effort, temperature) in [
        ("o3-mini", json!("low"), None),
        ("gpt-5-nano", json!("minimal"), None),
        ("gpt-5.6-mini", json!("none"), Some(json!(0.5))),
        ("gpt-5.3-codex", json!("low"), None),
        ("openai/gpt-5.1", json!("none"), Some(json!(0.5))),
        ("gpt-oss-20b", json!("low"), Some(json!(0.5))),
        ("gpt-4.1", json!(null), Some(json!(0.5))),
    ] {
        let asked = CompletionRequest::new(vec![Message::user("How long?")]).with_model(model);
        let body = sent(asked.with_temperature(0.5).with_reasoning_effort(ReasoningEffort::Minimal)).await;
        assert_eq!(
            (&body["reasoning_effort"], body.get("temperature")),
            (&effort, temperature.as_ref()),
            "{model}"
        );
    }
    for (model, temperature) in
        [("gpt-5.1", None), ("gpt-5-chat-latest", Some(json!(0.5))), ("qwen3", Some(json!(0.5)))]
    {
        let asked = CompletionRequest::new(vec![Message::user("How long?")]).with_model(model);
        let body = sent(asked.with_temperature(0.5).with_reasoning_effort(ReasoningEffort::High)).await;
        assert_eq!(body.get("temperature"), temperature.as_ref(), "{model}");
    }
}
