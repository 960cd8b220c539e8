use agentscale_core::llm::{
    CompletionRequest, Content, Image, LlmProvider, Message, PromptCache, Reasoning, ReasoningEffort,
    ResponseFormat, Role, ToolCall, ToolChoice, ToolSpec,
};
use agentscale_core::{ErrorKind, Json};
use serde_json::{Value, json};

use super::{ANSWER, provider_at};
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

fn result(id: &str, text: &str, failed: bool) -> Content {
    Content::ToolResult { call_id: id.into(), text: text.into(), failed }
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
    let signed = ToolCall::new("call_0", "find", raw(r#"{"q":1}"#)).with_signature("c2ln");
    let named = ToolCall::new("fc_81", "now", raw("{}"));
    let thought = Reasoning::new("Hm.").with_opaque("gemini", raw(r#"{"signature":"dGhv"}"#));
    let foreign = Reasoning::new("Of another model.").with_opaque("anthropic", raw("{}"));
    let mut request = CompletionRequest::new(vec![
        Message::system("Be short."),
        Message::system("Be kind."),
        Message::user("How long?")
            .with_document("a.md:7", "Ten seconds.")
            .with_image(Image::url("https://example.com/a.PNG?size=1"))
            .with_image(Image::inline("image/png", b"png")),
        Message::new(
            Role::Assistant,
            vec![
                Content::Reasoning(thought),
                Content::Reasoning(foreign),
                Content::ToolCall(signed),
                Content::ToolCall(named),
            ],
        ),
        Message::new(Role::Tool, vec![result("call_0", "none", true)]),
        Message::new(Role::Tool, vec![result("fc_81", "noon", false)]),
        Message::user("And now?"),
    ])
    .with_max_tokens(50)
    .with_temperature(1.5)
    .with_tools(vec![find()])
    .with_tool_choice(ToolChoice::Tool("find".into()));
    request.top_p = Some(0.25);
    request.stop = vec!["END".into()];
    request.seed = Some(7);
    provider_at(&server).complete(request).await.unwrap();

    let recorded = &server.requests()[0];
    assert_eq!(recorded.path, "/v1/models/gemini-2.5-flash:generatecontent");
    assert!(recorded.head.contains("x-goog-api-key: aiza-secret-key"), "{}", recorded.head);
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be short."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "How long?"},
                {"text": "[a.md:7]\nTen seconds."},
                {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.PNG?size=1"}},
                {"inlineData": {"mimeType": "image/png", "data": "cG5n"}},
            ]},
            {"role": "model", "parts": [
                {"text": "Hm.", "thought": true, "thoughtSignature": "dGhv"},
                {"functionCall": {"name": "find", "args": {"q": 1}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "fc_81", "name": "now", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "find", "response": {"error": "none"}}},
                {"functionResponse": {"id": "fc_81", "name": "now", "response": {"output": "noon"}}},
                {"text": "And now?"},
            ]},
        ],
        "tools": [{"functionDeclarations":
            [{"name": "find", "description": "Finds.", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["find"]}},
        "generationConfig": {"maxOutputTokens": 50, "temperature": 1.5, "topP": 0.25, "stopSequences": ["END"], "seed": 7},
    });
    assert_eq!(recorded.body, expected);
}

#[tokio::test]
async fn a_plain_request_says_no_more_than_it_must() {
    assert_eq!(sent(ask()).await, json!({"contents": [{"role": "user", "parts": [{"text": "How long?"}]}]}));
}

#[tokio::test]
async fn the_choice_of_tools_is_told() {
    let config = |mode: &str| json!({"functionCallingConfig": {"mode": mode}});
    for (choice, expected) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, config("NONE")),
        (ToolChoice::Required, config("ANY")),
    ] {
        let body = sent(ask().with_tools(vec![find()]).with_tool_choice(choice)).await;
        assert_eq!(body["toolConfig"], expected);
    }
}

#[tokio::test]
async fn a_schema_is_told_unless_a_tool_is_demanded() {
    let schema = ResponseFormat::JsonSchema { name: "answer".into(), schema: raw(r#"{"type":"object"}"#) };
    let request = || ask().with_tools(vec![find()]).with_response_format(schema.clone());
    let expected = json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}});
    assert_eq!(sent(request()).await["generationConfig"], expected);
    let demanding = sent(request().with_tool_choice(ToolChoice::Required)).await;
    assert_eq!(demanding.get("generationConfig"), None);
}

#[tokio::test]
async fn an_object_is_a_type_without_a_schema() {
    let request = || ask().with_tools(vec![find()]).with_response_format(ResponseFormat::JsonObject);
    assert_eq!(sent(request()).await["generationConfig"], json!({"responseMimeType": "application/json"}));
    let demanding = sent(request().with_tool_choice(ToolChoice::Required)).await;
    assert_eq!(demanding.get("generationConfig"), None);
}

#[tokio::test]
async fn an_effort_is_a_budget_or_a_level_as_the_model_takes_it() {
    use ReasoningEffort::{High, Low, Medium, Minimal};
    let budget = |tokens: u32| json!({"thinkingBudget": tokens, "includeThoughts": true});
    let level = |level: &str| json!({"thinkingLevel": level, "includeThoughts": true});
    for (model, effort, max_tokens, expected) in [
        ("gemini-2.5-flash", Minimal, 1_000, json!({"thinkingBudget": 0})),
        ("gemini-2.5-pro", Minimal, 1_000, json!({"thinkingBudget": 128})),
        ("gemini-2.5-pro", Low, 9_000, budget(1_024)),
        ("gemini-2.5-flash", Medium, 4_000, budget(2_000)),
        ("gemini-2.5-flash-lite", High, 100, budget(512)),
        ("models/gemini-2.5-pro", High, 90_000, budget(24_576)),
        ("gemini-3-flash-preview", Minimal, 100, json!({"thinkingLevel": "minimal"})),
        ("gemini-3.1-pro-preview", Minimal, 100, json!({"thinkingLevel": "low"})),
        ("gemini-3-pro-preview", Medium, 100, level("high")),
        ("gemini-3.1-pro-preview", Medium, 100, level("medium")),
        ("gemini-flash-latest", Low, 100, level("low")),
        ("gemini-2.0-flash", High, 100, Value::Null),
        ("gemma-3-27b-it", High, 100, Value::Null),
    ] {
        let request = ask().with_model(model).with_max_tokens(max_tokens).with_reasoning_effort(effort);
        assert_eq!(sent(request).await["generationConfig"]["thinkingConfig"], expected, "{model} {effort:?}");
    }
}

#[tokio::test]
async fn calls_of_another_model_are_marked_for_those_that_want_signatures() {
    let calls = ["a", "b"].map(|id| Content::ToolCall(ToolCall::new(id, "find", raw("{}"))));
    let mut request = ask();
    request.messages.push(Message::new(Role::Assistant, calls.to_vec()));
    request.messages.push(Message::new(Role::Tool, vec![result("a", "1", false), result("b", "2", false)]));
    for (model, expected) in [
        ("gemini-3-flash-preview", json!("skip_thought_signature_validator")),
        ("gemini-2.5-flash", Value::Null),
    ] {
        let body = sent(request.clone().with_model(model)).await;
        let parts = &body["contents"][1]["parts"];
        assert_eq!([&parts[0]["thoughtSignature"], &parts[1]["thoughtSignature"]], [&expected, &Value::Null]);
    }
}

#[tokio::test]
async fn what_is_stored_takes_the_place_of_instructions_and_tools() {
    let cache = PromptCache::new().with_stored("cachedContents/abc");
    let mut request = ask().with_tools(vec![find()]).with_prompt_cache(cache);
    request.messages.insert(0, Message::system("Be short."));
    request.tool_choice = ToolChoice::Required;
    let contents = json!([{"role": "user", "parts": [{"text": "How long?"}]}]);
    assert_eq!(sent(request).await, json!({"contents": contents, "cachedContent": "cachedContents/abc"}));
}

#[tokio::test]
async fn a_result_without_its_call_and_a_name_that_is_none_are_not_sent() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let provider = provider_at(&server);
    let mut orphan = ask();
    orphan.messages.push(Message::new(Role::Tool, vec![result("lost", "none", false)]));
    assert_eq!(provider.complete(orphan).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    for name in ["../files/x", "models/x:embedContent", "a b", "models//x", "x?key=1"] {
        let error = provider.complete(ask().with_model(name)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}");
    }
    assert!(server.requests().is_empty());
    provider.complete(ask().with_model("tunedModels/mine")).await.unwrap();
    assert_eq!(server.requests()[0].path, "/v1/tunedmodels/mine:generatecontent");
}
