//! What Anthropic's and Gemini's providers say of whole conversations, limits and faults of the simulator.

use std::time::Duration;

use agentscale::core::llm::{
    CompletionRequest, Content, FinishReason, LimitWindow, LimitedUnit, LlmProvider, Message, PartialAnswer,
    PromptCache, RateLimits, ReasoningEffort, Role, ToolSpec,
};
use agentscale::core::{ErrorKind, Json, Retry};
use agentscale::llm::anthropic::AnthropicConfig;
use agentscale::llm::gemini::GeminiConfig;
use agentscale::llm::{AnthropicProvider, GeminiProvider};
use serde_json::{Value, json};

use super::server::Server;

fn anthropic(server: &Server) -> AnthropicProvider {
    let config = AnthropicConfig::new()
        .with_base_url(format!("http://{}/v1", server.address))
        .with_api_key("k")
        .with_model("claude-sonnet-4-5");
    AnthropicProvider::new(&config).unwrap()
}

fn gemini(server: &Server) -> GeminiProvider {
    let config = GeminiConfig::new()
        .with_base_url(format!("http://{}/v1beta", server.address))
        .with_api_key("k")
        .with_model("gemini-3-flash");
    GeminiProvider::new(&config).unwrap()
}

fn both(server: &Server) -> [(&'static str, Box<dyn LlmProvider>); 2] {
    [("anthropic", Box::new(anthropic(server))), ("gemini", Box::new(gemini(server)))]
}

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long does a lease last?")])
}

async fn answer(provider: &dyn LlmProvider, request: CompletionRequest, streamed: bool) -> Message {
    let answer = match streamed {
        true => provider.stream(request).await.unwrap().collect().await.unwrap(),
        false => provider.complete(request).await.unwrap(),
    };
    let calls = answer.message.tool_calls().count();
    assert_eq!(answer.finish_reason, if calls > 0 { FinishReason::ToolCalls } else { FinishReason::Stop });
    answer.message
}

#[tokio::test]
async fn a_loop_of_calls_and_results_goes_on_with_its_thoughts() {
    let server = Server::with(json!({"answers": {"tool_calls": 2}}));
    let parameters = Json::parse(super::schema().to_string()).unwrap();
    let find = ToolSpec { name: "find".into(), description: "Finds.".into(), parameters };
    for (name, provider) in both(&server) {
        for streamed in [false, true] {
            let mut request =
                ask().with_tools(vec![find.clone()]).with_reasoning_effort(ReasoningEffort::Medium);
            for _ in 0..2 {
                let called = answer(&provider, request.clone(), streamed).await;
                let is_thought = |part: &Content| matches!(part, Content::Reasoning(_));
                assert!(called.content.iter().any(is_thought), "{name}: {called:?}");
                let calls: Vec<_> = called.tool_calls().cloned().collect();
                assert_eq!(calls.len(), 2, "{name}");
                for call in &calls {
                    super::assert_fits(&call.arguments.decode::<Value>().unwrap());
                }
                let result =
                    |call_id| Content::ToolResult { call_id, text: "Ten seconds.".into(), failed: false };
                let results = calls.into_iter().map(|call| result(call.id)).collect();
                request.messages.extend([called, Message::new(Role::Tool, results)]);
                let said = answer(&provider, request.clone(), streamed).await;
                assert!(!said.text().is_empty(), "{name}: {said:?}");
                request.messages.extend([said, Message::user("And now?")]);
            }
        }
    }
}

#[tokio::test]
async fn the_limits_that_were_hit_are_told() {
    let server = Server::with(json!({"limits": {
        "anthropic": {"requests_per_minute": 2, "input_tokens_per_minute": 9_000, "output_tokens_per_minute": 9_000},
        "gemini": {"requests_per_minute": 2, "input_tokens_per_minute": 9_000, "requests_per_day": 9},
    }}));
    for (name, provider) in both(&server) {
        let first = provider.complete(ask()).await.unwrap();
        let left = first.rate_limits.get(LimitedUnit::Requests).map(|limit| limit.remaining);
        assert_eq!(left, (name == "anthropic").then_some(Some(1)));
        provider.complete(ask()).await.unwrap();
        let error = provider.complete(ask()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::Later), "{name}");
        let wait = error.retry_after().unwrap();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(60), "{name}: {wait:?}");
        let hit = *RateLimits::of(&error).unwrap().hit().unwrap();
        assert_eq!((hit.unit, hit.window), (LimitedUnit::Requests, Some(LimitWindow::Minute)), "{name}");
    }
}

#[tokio::test]
async fn a_used_up_day_is_closed_until_its_end() {
    let server = Server::with(json!({"limits": {
        "gemini": {"requests_per_minute": 9, "input_tokens_per_minute": 9_000, "requests_per_day": 1},
    }}));
    let provider = gemini(&server);
    provider.complete(ask()).await.unwrap();
    let error = provider.complete(ask()).await.unwrap_err();
    let hit = *RateLimits::of(&error).unwrap().hit().unwrap();
    assert_eq!((error.kind(), hit.window), (ErrorKind::RateLimited, Some(LimitWindow::Day)));
    assert_eq!(error.retry_after(), hit.reset);
}

#[tokio::test]
async fn broken_streams_are_errors_with_what_came() {
    for (fault, kind) in [
        (json!({"cut": {"after_events": 6, "how": "drop"}}), ErrorKind::Unavailable),
        (json!({"cut": {"after_events": 6, "how": "end"}}), ErrorKind::Unavailable),
        (json!({"garbage": {"after_events": 6}}), ErrorKind::Corrupt),
        (json!({"stream_error": {"after_events": 6, "status": 529}}), ErrorKind::Overloaded),
    ] {
        let server = Server::with(json!({"faults": [{"when": {}, "then": fault}]}));
        for (name, provider) in both(&server) {
            let error = provider.stream(ask()).await.unwrap().collect().await.unwrap_err();
            let came = PartialAnswer::of(&error).unwrap();
            assert_eq!(error.kind(), kind, "{name} {fault}");
            assert!(!came.message.text().is_empty(), "{name} {fault}");
        }
    }
}

#[tokio::test]
async fn refusals_have_their_kinds() {
    for (fault, kind) in [
        (json!({"status": {"code": 529}}), ErrorKind::Overloaded),
        (json!({"status": {"code": 500}}), ErrorKind::Unavailable),
        (json!({"error": "invalid_key"}), ErrorKind::Unauthenticated),
        (json!({"error": "context_too_long"}), ErrorKind::ContextTooLong),
        (json!({"error": "content_refused"}), ErrorKind::ContentRefused),
        (json!({"html": {"status": 502}}), ErrorKind::Unavailable),
        (json!("disconnect"), ErrorKind::Unavailable),
    ] {
        let server = Server::with(json!({"faults": [{"when": {}, "then": fault}]}));
        for (name, provider) in both(&server) {
            assert_eq!(provider.complete(ask()).await.unwrap_err().kind(), kind, "{name} {fault}");
        }
    }
}

#[tokio::test]
async fn stored_contents_stand_before_the_messages() {
    let server = Server::with(json!({"cache": {"min_tokens": 64}}));
    let provider = gemini(&server);
    let rules = CompletionRequest::new(vec![
        Message::system("Answer in one sentence. ".repeat(40)),
        Message::user("Hello."),
    ]);
    let stored = provider.create_cached_content(&rules, Duration::from_secs(60)).await.unwrap();
    assert!(stored.tokens >= 64 && stored.expires.is_some(), "{stored:?}");
    let cached = ask().with_prompt_cache(PromptCache::new().with_stored(&stored.name));
    let usage = provider.complete(cached.clone()).await.unwrap().usage;
    assert!(usage.cached_input_tokens >= 64 && usage.input_tokens > usage.cached_input_tokens, "{usage:?}");
    assert_eq!(provider.cached_content(&stored.name).await.unwrap().name, stored.name);
    provider.delete_cached_content(&stored.name).await.unwrap();
    provider.complete(cached).await.unwrap_err();
}
