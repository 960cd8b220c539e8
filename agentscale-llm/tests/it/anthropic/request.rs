use agentscale_core::Json;
use agentscale_core::llm::{
    CompletionRequest, Content, Image, LlmProvider, Message, PromptCache, Reasoning, ReasoningEffort,
    ResponseFormat, Role, ToolCall, ToolChoice, ToolSpec,
};
use agentscale_llm::anthropic::{AnthropicProvider, SchemaForm, ThinkingForm};
use serde_json::{Value, json};

use super::{ANSWER, config_at, provider_at};
use crate::server::{Reply, Server};

fn raw(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long?")])
}

fn find() -> ToolSpec {
    ToolSpec { name: "find".into(), description: "Finds.".into(), parameters: raw(r#"{"type":"object"}"#) }
}

fn schema() -> ResponseFormat {
    ResponseFormat::JsonSchema { name: "answer".into(), schema: raw(r#"{"type":"object"}"#) }
}

/// The body that a request is sent as.
async fn sent(request: CompletionRequest) -> Value {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    provider_at(&server).complete(request).await.unwrap();
    server.requests()[0].body.clone()
}

#[tokio::test]
async fn a_request_says_all_that_was_asked() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let call = ToolCall::new("toolu_01", "find", raw(r#"{"q":1}"#));
    let thought = Reasoning::new("I look it up.").with_opaque("anthropic", raw(r#"{"signature":"c2ln"}"#));
    let hidden = Reasoning::default().with_opaque("anthropic", raw(r#"{"data":"aGlk"}"#));
    let foreign = Reasoning::new("Of another model.").with_opaque("openai", raw("{}"));
    let result = Content::ToolResult { call_id: "toolu_01".into(), text: "none".into(), failed: true };
    let mut request = CompletionRequest::new(vec![
        Message::system("Be short."),
        Message::user("How long?")
            .with_document("a.md:7", "Ten seconds.")
            .with_image(Image::url("https://example.com/a.png"))
            .with_image(Image::inline("image/png", b"png")),
        Message::new(
            Role::Assistant,
            vec![
                Content::Reasoning(thought),
                Content::Reasoning(hidden),
                Content::Reasoning(foreign),
                Content::ToolCall(call),
            ],
        ),
        Message::new(Role::Tool, vec![result]),
        Message::user("And now?"),
    ])
    .with_max_tokens(50)
    .with_temperature(1.5)
    .with_tools(vec![find()])
    .with_tool_choice(ToolChoice::Tool("find".into()))
    .with_response_format(schema());
    request.stop = vec!["END".into()];
    request.seed = Some(7);
    provider_at(&server).complete(request).await.unwrap();

    let recorded = &server.requests()[0];
    assert_eq!(recorded.path, "/v1/messages");
    for header in ["x-api-key: sk-secret-key", "anthropic-version: 2023-06-01"] {
        assert!(recorded.head.contains(header), "{}", recorded.head);
    }
    let expected = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 50,
        "system": [{"type": "text", "text": "Be short."}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "How long?"},
                {"type": "text", "text": "[a.md:7]\nTen seconds."},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "I look it up.", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "aGlk"},
                {"type": "tool_use", "id": "toolu_01", "name": "find", "input": {"q": 1}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_01", "content": "none", "is_error": true},
                {"type": "text", "text": "And now?"},
            ]},
        ],
        "tools": [{"name": "find", "description": "Finds.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "find"},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "temperature": 1.0,
        "stop_sequences": ["END"],
    });
    assert_eq!(recorded.body, expected);
}

#[tokio::test]
async fn a_plain_request_says_no_more_than_it_must() {
    let text = json!({"role": "user", "content": [{"type": "text", "text": "How long?"}]});
    let expected = json!({"model": "claude-sonnet-4-5", "max_tokens": 8_192, "messages": [text]});
    assert_eq!(sent(ask()).await, expected);
}

#[tokio::test]
async fn the_choice_of_tools_is_told() {
    let tools = || ask().with_tools(vec![find()]);
    for (choice, expected) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!({"type": "none"})),
        (ToolChoice::Required, json!({"type": "any"})),
        (ToolChoice::Tool("find".into()), json!({"type": "tool", "name": "find"})),
    ] {
        assert_eq!(sent(tools().with_tool_choice(choice)).await["tool_choice"], expected);
    }
    assert_eq!(sent(ask().with_tool_choice(ToolChoice::None)).await["tool_choice"], Value::Null);
}

#[tokio::test]
async fn an_effort_is_a_budget_or_an_effort_as_the_model_takes_it() {
    let (budget, adaptive) = ("claude-sonnet-4-5", "claude-opus-4-7");
    let enabled = |tokens| json!({"type": "enabled", "budget_tokens": tokens});
    let effort = |effort| json!({"effort": effort});
    for (model, wish, max_tokens, thinking, config) in [
        (budget, ReasoningEffort::Minimal, 8_192, Value::Null, Value::Null),
        (budget, ReasoningEffort::Low, 8_192, enabled(2_048), Value::Null),
        (budget, ReasoningEffort::Low, 2_000, enabled(1_024), Value::Null),
        (budget, ReasoningEffort::Medium, 8_192, enabled(4_096), Value::Null),
        (budget, ReasoningEffort::High, 10_000, enabled(8_000), Value::Null),
        (budget, ReasoningEffort::High, 1_024, Value::Null, Value::Null),
        (adaptive, ReasoningEffort::Minimal, 500, Value::Null, effort("low")),
        (adaptive, ReasoningEffort::Medium, 500, json!({"type": "adaptive"}), effort("medium")),
        (adaptive, ReasoningEffort::High, 500, json!({"type": "adaptive"}), effort("high")),
        ("claude-3-5-haiku", ReasoningEffort::High, 8_192, Value::Null, Value::Null),
    ] {
        let request = ask().with_model(model).with_max_tokens(max_tokens).with_reasoning_effort(wish);
        let body = sent(request).await;
        assert_eq!((&body["thinking"], &body["output_config"]), (&thinking, &config), "{model} {wish:?}");
    }
}

#[tokio::test]
async fn what_goes_not_with_a_budget_is_left_out() {
    let thinking = || ask().with_reasoning_effort(ReasoningEffort::High);
    let body = sent(thinking().with_temperature(0.5)).await;
    assert!(body["thinking"].is_object() && body.get("temperature").is_none());

    let demanding = thinking().with_tools(vec![find()]).with_tool_choice(ToolChoice::Required);
    assert!(sent(demanding.clone()).await.get("thinking").is_none());
    for (model, thinks) in [("claude-opus-4-7", false), ("claude-opus-4-8", true), ("claude-sonnet-5", true)]
    {
        let body = sent(demanding.clone().with_model(model)).await;
        assert_eq!(body.get("thinking").is_some(), thinks, "{model}");
        assert_eq!(body["output_config"], json!({"effort": "high"}), "{model}");
    }

    let mut unthought = thinking();
    let call = ToolCall::new("c1", "find", raw("{}"));
    unthought.messages.push(Message::new(Role::Assistant, vec![Content::ToolCall(call)]));
    let result = Content::ToolResult { call_id: "c1".into(), text: "none".into(), failed: false };
    unthought.messages.push(Message::new(Role::Tool, vec![result]));
    assert!(sent(unthought).await.get("thinking").is_none());
}

#[tokio::test]
async fn sampling_is_told_as_the_model_takes_it() {
    for (model, expected) in [
        ("claude-sonnet-4-5", [json!(0.5), Value::Null]),
        ("claude-3-5-haiku", [json!(0.5), json!(0.25)]),
        ("claude-opus-4-7", [Value::Null, Value::Null]),
    ] {
        let mut request = ask().with_model(model).with_temperature(0.5);
        request.top_p = Some(0.25);
        let body = sent(request).await;
        assert_eq!([&body["temperature"], &body["top_p"]], [&expected[0], &expected[1]], "{model}");
    }
}

#[tokio::test]
async fn the_last_four_breakpoints_are_kept() {
    let mut messages: Vec<_> =
        (0..3).flat_map(|_| [Message::system("rules"), Message::user("text")]).collect();
    for message in &mut messages[1..] {
        message.cache_breakpoint = true;
    }
    let cache = PromptCache::new().with_long_retention();
    let body = sent(CompletionRequest::new(messages).with_prompt_cache(cache)).await;
    let ttls = |blocks: &Value| -> Vec<Value> {
        let blocks = blocks.as_array().unwrap();
        blocks.iter().map(|block| block["cache_control"]["ttl"].clone()).collect()
    };
    let hour = json!("1h");
    assert_eq!(ttls(&body["system"]), [Value::Null, hour.clone(), hour.clone()]);
    assert_eq!(ttls(&body["messages"][0]["content"]), [Value::Null, hour.clone(), hour]);
}

#[tokio::test]
async fn a_breakpoint_stands_on_what_can_bear_it() {
    let thought = Reasoning::new("Hm.").with_opaque("anthropic", raw(r#"{"signature":"c2ln"}"#));
    let said = Content::Text { text: "Ten.".into() };
    let mut answer = Message::new(Role::Assistant, vec![said, Content::Reasoning(thought)]);
    answer.cache_breakpoint = true;
    let body = sent(CompletionRequest::new(vec![Message::user("How long?"), answer])).await;
    assert_eq!(body["messages"][1]["content"][0]["cache_control"], json!({"type": "ephemeral"}));
}

#[tokio::test]
async fn a_schema_is_a_tool_for_models_that_know_no_other_way() {
    let answer = json!({"name": "answer", "description": "Takes the answer to the user.",
        "input_schema": {"type": "object"}});
    let old = || ask().with_model("claude-3-5-haiku").with_response_format(schema());
    let body = sent(old()).await;
    assert_eq!((&body["tools"][0], body.get("output_config")), (&answer, None));
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "answer"}));

    let body = sent(old().with_tools(vec![find()])).await;
    assert_eq!((&body["tools"][1], &body["tool_choice"]), (&answer, &json!({"type": "any"})));

    let body = sent(old().with_tools(vec![find()]).with_tool_choice(ToolChoice::Required)).await;
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_configuration_decides_what_a_name_does_not_tell() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let mut config = config_at(&server).with_max_tokens(4_000).with_beta(["first-1", "second-2"]);
    (config.thinking, config.schema) = (ThinkingForm::Adaptive, SchemaForm::Tool);
    let request = ask()
        .with_model("house-model")
        .with_response_format(schema())
        .with_reasoning_effort(ReasoningEffort::Low);
    AnthropicProvider::new(&config).unwrap().complete(request).await.unwrap();
    let recorded = &server.requests()[0];
    assert!(recorded.head.contains("anthropic-beta: first-1,second-2"), "{}", recorded.head);
    assert_eq!(
        (&recorded.body["model"], &recorded.body["max_tokens"]),
        (&json!("house-model"), &json!(4_000))
    );
    assert_eq!(recorded.body["thinking"], json!({"type": "adaptive"}));
    assert_eq!(recorded.body["tools"][0]["name"], "answer");
}
