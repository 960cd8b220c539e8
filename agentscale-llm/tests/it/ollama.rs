use agentscale_core::llm::{
    CompletionEvent, CompletionRequest, Content, EmbeddingRequest, FinishReason, Image, LlmProvider, Message,
    Reasoning, ReasoningEffort, ResponseFormat, Role, ToolCall, ToolChoice, ToolSpec, Usage,
};
use agentscale_core::{ErrorKind, Json, Retry};
use agentscale_llm::ollama::{OllamaConfig, OllamaProvider};
use serde_json::json;

use crate::server::{Reply, Server};

const ANSWER: &str = r#"{"model":"small:8b","message":{"role":"assistant","content":"ten seconds"},"done":true,
    "done_reason":"stop","prompt_eval_count":9,"eval_count":2}"#;

fn provider_at(server: &Server) -> OllamaProvider {
    let config = OllamaConfig::new().with_base_url(&server.url).with_model("small").with_embedding_model("e");
    OllamaProvider::new(&config).unwrap()
}

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long?")])
}

fn find() -> ToolSpec {
    ToolSpec {
        name: "find".into(),
        description: "Finds.".into(),
        parameters: Json::parse(r#"{"type":"object"}"#).unwrap(),
    }
}

fn json_text(text: &str) -> Json {
    Json::parse(text).unwrap()
}

#[tokio::test]
async fn a_request_says_all_that_was_asked() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let call = ToolCall::new("c1", "find", json_text(r#"{"q":1}"#));
    let result = Content::ToolResult { call_id: "c1".into(), text: "none".into(), failed: true };
    let thought = Content::Reasoning(Reasoning::new("I look."));
    let mut request = CompletionRequest::new(vec![
        Message::system("Be short."),
        Message::user("How long?")
            .with_document("a.md:7", "Ten.")
            .with_image(Image::inline("image/png", &[1, 2, 3])),
        Message::new(Role::Assistant, vec![thought, Content::ToolCall(call)]),
        Message::new(Role::Tool, vec![result]),
    ])
    .with_max_tokens(50)
    .with_temperature(0.5)
    .with_reasoning_effort(ReasoningEffort::High)
    .with_tools(vec![find()])
    .with_response_format(ResponseFormat::JsonSchema {
        name: "answer".into(),
        schema: json_text("{\"a\":1}"),
    });
    request.top_p = Some(0.25);
    request.stop = vec!["END".into()];
    request.seed = Some(7);
    let mut config =
        OllamaConfig::new().with_base_url(&server.url).with_model("small").with_api_key("secret-key");
    (config.context_window, config.keep_alive) = (Some(8_192), Some("10m".into()));
    let provider = OllamaProvider::new(&config).unwrap();
    assert!(!format!("{provider:?} {config:?}").contains("secret-key"));
    let answer = provider.complete(request).await.unwrap();
    assert_eq!((answer.text().as_str(), answer.model.as_str()), ("ten seconds", "small:8b"));
    assert_eq!((answer.finish_reason, answer.usage), (FinishReason::Stop, Usage::new(9, 2)));

    let recorded = &server.requests()[0];
    assert_eq!(recorded.path, "/v1/api/chat");
    assert!(recorded.head.contains("authorization: bearer secret-key"));
    let expected = json!({
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "How long?\n\n[a.md:7]\nTen.", "images": ["AQID"]},
            {"role": "assistant", "content": "", "thinking": "I look.",
                "tool_calls": [{"id": "c1", "function": {"name": "find", "arguments": {"q": 1}}}]},
            {"role": "tool", "content": "error: none", "tool_name": "find", "tool_call_id": "c1"},
        ],
        "tools": [{"type": "function", "function":
            {"name": "find", "description": "Finds.", "parameters": {"type": "object"}}}],
        "format": {"a": 1},
        "think": true,
        "options": {"num_ctx": 8192, "num_predict": 50, "temperature": 0.5, "top_p": 0.25, "stop": ["END"], "seed": 7},
        "keep_alive": "10m", "truncate": false, "stream": false,
    });
    assert_eq!(recorded.body, expected);
}

#[tokio::test]
async fn an_object_is_a_format_by_name() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let request = ask().with_response_format(ResponseFormat::JsonObject);
    provider_at(&server).complete(request).await.unwrap();
    assert_eq!(server.requests()[0].body["format"], "json");
}

#[tokio::test]
async fn a_demanded_tool_gives_the_answer_its_form() {
    let lines = "{\"message\":{\"content\":\"{\\\"q\\\"\"}}\n{\"message\":{\"content\":\": 2}\"}}\n\
                 {\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n";
    let server = Server::replying(Reply::of(200, "application/x-ndjson", lines)).await;
    let demand = |choice| ask().with_tools(vec![find()]).with_tool_choice(choice);
    for choice in [ToolChoice::Required, ToolChoice::Tool("find".into())] {
        let mut stream = provider_at(&server).stream(demand(choice)).await.unwrap();
        let (id, name) = ("call_0".into(), "find".into());
        let started = CompletionEvent::ToolCallStarted { index: 0, id, name, signature: None };
        assert_eq!(stream.next().await.unwrap().unwrap(), started);
        let fragment = CompletionEvent::ToolArguments { index: 0, fragment: "{\"q\"".into() };
        assert_eq!(stream.next().await.unwrap().unwrap(), fragment);
        let answer = stream.collect().await.unwrap();
        let calls: Vec<_> =
            answer.message.tool_calls().map(|call| (&*call.name, call.arguments.as_str())).collect();
        assert_eq!((calls, answer.finish_reason), (vec![("find", "{\"q\": 2}")], FinishReason::ToolCalls));
    }
    let body = &server.requests()[0].body;
    assert_eq!((body.get("tools"), &body["format"]), (None, &json!({"type": "object"})));
    assert_eq!(body["messages"][0]["role"], "system");

    provider_at(&server).stream(demand(ToolChoice::None)).await.unwrap();
    assert_eq!(server.requests()[2].body.get("tools"), None);
    let of_two = demand(ToolChoice::Required).with_tools(vec![find(), find()]);
    let unknown = demand(ToolChoice::Tool("other".into()));
    for request in [of_two, unknown] {
        assert_eq!(provider_at(&server).stream(request).await.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn a_model_that_cannot_think_is_asked_without() {
    let server = Server::start(|request| match request.body.get("think") {
        Some(_) => Reply::json(400, r#"{"error":"\"small\" does not support thinking"}"#),
        None => Reply::json(200, ANSWER),
    })
    .await;
    let request = ask().with_reasoning_effort(ReasoningEffort::Low);
    assert_eq!(provider_at(&server).complete(request).await.unwrap().text(), "ten seconds");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn effort_is_told_as_the_model_takes_it() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    for (model, effort, think) in [
        ("qwen3", ReasoningEffort::Minimal, json!(false)),
        ("qwen3", ReasoningEffort::Low, json!(true)),
        ("gpt-oss:20b", ReasoningEffort::Minimal, json!("low")),
        ("hf.co/x/gpt-oss-20b", ReasoningEffort::High, json!("high")),
    ] {
        let request = ask().with_model(model).with_reasoning_effort(effort);
        provider_at(&server).complete(request).await.unwrap();
        assert_eq!(server.requests().last().unwrap().body["think"], think, "{model}");
    }
}

#[tokio::test]
async fn the_words_of_a_refusal_decide_its_kind() {
    let context = r#"{"error":{"code":400,"message":"m","type":"exceed_context_size_error","n_ctx":4096}}"#;
    for (status, body, kind, retry) in [
        (404, r#"{"error":"model 'x' not found"}"#, ErrorKind::NotFound, Retry::Never),
        (
            400,
            r#"{"error":"registry.ollama.ai/x does not support tools"}"#,
            ErrorKind::Unsupported,
            Retry::Never,
        ),
        (
            503,
            r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
            ErrorKind::Overloaded,
            Retry::Later,
        ),
        (503, "", ErrorKind::Overloaded, Retry::Later),
        (400, context, ErrorKind::ContextTooLong, Retry::Never),
        (
            400,
            r#"{"error":"the input length exceeds the context length"}"#,
            ErrorKind::ContextTooLong,
            Retry::Never,
        ),
        (500, r#"{"error":"model requires more system memory"}"#, ErrorKind::Unavailable, Retry::Later),
        (401, r#"{"error":"unauthorized"}"#, ErrorKind::Unauthenticated, Retry::Never),
        (400, r#"{"error":"invalid option"}"#, ErrorKind::InvalidInput, Retry::Never),
        (502, "<html></html>", ErrorKind::Unavailable, Retry::Later),
        (200, r#"{"error":"unexpected EOF"}"#, ErrorKind::Unavailable, Retry::Later),
        (200, "<html></html>", ErrorKind::Corrupt, Retry::Never),
    ] {
        let server = Server::replying(Reply::json(status, body)).await;
        let error = provider_at(&server).complete(ask()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {body}");
    }
}

#[tokio::test]
async fn an_image_by_its_address_is_unsupported() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let request =
        CompletionRequest::new(vec![Message::user("?").with_image(Image::url("https://host/a.png"))]);
    assert_eq!(provider_at(&server).complete(request).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn embeddings_are_read() {
    let body = r#"{"model":"e:1","embeddings":[[0.25,2],[0.5,1]],"prompt_eval_count":4}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let request = || EmbeddingRequest::new(vec!["a".into(), "b".into()]);
    let embeddings = provider_at(&server).embed(request()).await.unwrap();
    assert_eq!(embeddings.vectors, [[0.25, 2.0], [0.5, 1.0]]);
    assert_eq!((embeddings.usage, embeddings.model.as_str()), (Usage::new(4, 0), "e:1"));
    assert_eq!(server.requests()[0].path, "/v1/api/embed");
    assert_eq!(server.requests()[0].body, json!({"model": "e", "input": ["a", "b"], "truncate": false}));
    for wrong in [r#"{"embeddings":[[1]]}"#, r#"{"embeddings":[[1],[]]}"#, "{}"] {
        let server = Server::replying(Reply::json(200, wrong)).await;
        assert_eq!(provider_at(&server).embed(request()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn calls_without_ids_get_new_ones_in_each_answer() {
    let body = r#"{"message":{"tool_calls":[{"function":{"name":"find","arguments":{}}}]},"done":true}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let mut request = ask();
    for expected in ["call_0", "call_1"] {
        let answer = provider_at(&server).complete(request.clone()).await.unwrap();
        let streamed = provider_at(&server).stream(request.clone()).await.unwrap().collect().await.unwrap();
        for message in [&answer.message, &streamed.message] {
            assert_eq!(message.tool_calls().map(|call| call.id.as_str()).collect::<Vec<_>>(), [expected]);
        }
        request.messages.push(answer.message);
    }
}
