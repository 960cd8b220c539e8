//! The promises of the cache of answers.

mod embedder;
mod measured;
mod semantic;

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::llm::{
    CallContext, Completion, CompletionEvent, CompletionRequest, FinishReason, LlmProvider, Message,
    ReasoningEffort, ResponseFormat, ToolCall, ToolChoice, ToolSpec, Usage,
};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::time::{ManualClock, PausedClock};
use agentscale_core::{Deadline, Error, ErrorKind, Json, Tenant};
use agentscale_llm::cache::{ResponseCache, ResponseCacheConfig};
use futures::future::join_all;
use tokio::time::sleep;

mod conformance {
    use agentscale_llm::ExtractiveProvider;

    use super::{ResponseCache, ResponseCacheConfig};

    agentscale_core::llm_provider_conformance!(
        ResponseCache::new(ExtractiveProvider::new(), &ResponseCacheConfig::default()).unwrap()
    );
}

fn cached(provider: &ScriptedProvider) -> ResponseCache<ScriptedProvider> {
    let cache = ResponseCache::new(provider.clone(), &ResponseCacheConfig::default()).unwrap();
    cache.with_clock(Arc::new(PausedClock::new()))
}

fn numbered() -> ScriptedProvider {
    (0..40).fold(ScriptedProvider::new(), |provider, answer| provider.with_answer(answer.to_string()))
}

fn ask(text: &str) -> CompletionRequest {
    saying(vec![Message::user(text)])
}

fn saying(messages: Vec<Message>) -> CompletionRequest {
    let context = CallContext::new().with_tenant(Tenant::new("acme").unwrap());
    CompletionRequest::new(messages).with_context(context)
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_answer_of_another_beyond_its_own_deadline() {
    let provider = ScriptedProvider::new().with_answer("ten seconds").repeating();
    let cache = cached(&provider);
    // Its reader does not read on.
    let _stalled = cache.stream(ask("how long?")).await.unwrap();
    let mut hurried = ask("how long?");
    hurried.context.deadline = Some(Deadline::after(ManualClock::UNIX_START, Duration::from_secs(2)));
    let start = tokio::time::Instant::now();
    cache.complete(hurried).await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_behind_a_reader_that_stands_still_and_nothing_is_lost() {
    let provider = numbered();
    let cache = cached(&provider);
    let stalled = cache.stream(ask("how long?")).await.unwrap();
    let start = tokio::time::Instant::now();
    let waiting = (0..3).map(|_| cache.complete(ask("how long?")));
    let waited = tokio::time::timeout(Duration::from_secs(3_600), join_all(waiting)).await;
    let answers = waited.expect("they ask by themselves");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert!(answers.into_iter().all(|answer| answer.unwrap().text() != "0"));
    let asked = provider.requests().len();
    assert_ne!(cache.complete(ask("how long?")).await.unwrap().text(), "0");
    assert_eq!(provider.requests().len(), asked, "their answer was kept");
    assert_eq!(stalled.collect().await.unwrap().text(), "0");
    let mut hurried = ResponseCacheConfig::default();
    hurried.max_wait_ms = 0;
    let hurried = ResponseCache::new(numbered().with_delay(Duration::from_secs(9)), &hurried).unwrap();
    let both = join_all([hurried.complete(ask("q")), hurried.complete(ask("q"))]);
    assert!(tokio::time::timeout(Duration::from_secs(10), both).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_same_request_is_asked_once_and_costs_nothing_again() {
    let provider = ScriptedProvider::new().with_delay(Duration::from_secs(2)).with_answer("ten seconds");
    let cache = cached(&provider);
    let first = cache.complete(ask("how long?")).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    let again = cache.complete(ask(" how\n long? ")).await.unwrap();
    assert_eq!((first.usage.output_tokens, again.usage), (2, Usage::default()));
    assert_eq!((again.message, again.finish_reason), (first.message, first.finish_reason));
    let streamed = cache.stream(ask("how long?")).await.unwrap().collect().await.unwrap();
    assert_eq!(streamed.text(), "ten seconds");
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, provider.requests().len()), (2, 1, 1));
    assert_eq!((stats.saved, stats.age), (Duration::from_secs(4), Duration::from_secs(120)));
    assert!((stats.hit_rate() - 2.0 / 3.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_kept_call_comes_to_a_stream_with_its_arguments() {
    let arguments = Json::parse(r#"{"words":"lease"}"#).unwrap();
    let provider = ScriptedProvider::new().with_tool_calls(vec![ToolCall::new("c1", "find", arguments)]);
    let cache = cached(&provider);
    cache.complete(ask("q")).await.unwrap();
    let mut stream = cache.stream(ask("q")).await.unwrap();
    let (id, name) = ("c1".to_owned(), "find".to_owned());
    let started = CompletionEvent::ToolCallStarted { index: 0, id, name, signature: None };
    assert_eq!(stream.next().await.unwrap().unwrap(), started);
    let fragment = r#"{"words":"lease"}"#.to_owned();
    assert_eq!(stream.next().await.unwrap().unwrap(), CompletionEvent::ToolArguments { index: 0, fragment });
    assert!(matches!(stream.next().await.unwrap().unwrap(), CompletionEvent::Finished(_)));
    assert_eq!(cache.stats().hits, 1);
}

#[tokio::test(start_paused = true)]
async fn whatever_could_change_the_answer_makes_another_request() {
    let json = |text: &str| Json::parse(text).unwrap();
    let tool = |name: &str| ToolSpec { name: name.into(), description: "d".into(), parameters: json("{}") };
    let format = ResponseFormat::JsonSchema { name: "n".into(), schema: json("{}") };
    let mut seeded = ask("q");
    seeded.seed = Some(1);
    let mut stopped = ask("q");
    stopped.stop = vec!["x".into()];
    let mut likely = ask("q");
    likely.top_p = Some(0.5);
    let other = CallContext::new().with_tenant(Tenant::new("other").unwrap());
    let requests = [
        ask("q"),
        ask("r"),
        ask("q q"),
        ask("q").with_model("m"),
        ask("q").with_context(other),
        ask("q").with_context(CallContext::new()),
        ask("q").with_temperature(0.5),
        ask("q").with_max_tokens(5),
        ask("q").with_tools(vec![tool("a")]),
        ask("q").with_tools(vec![tool("b")]),
        ask("q").with_tools(vec![tool("a")]).with_tool_choice(ToolChoice::Required),
        ask("q").with_response_format(format),
        ask("q").with_response_format(ResponseFormat::JsonObject),
        ask("q").with_reasoning_effort(ReasoningEffort::Low),
        seeded,
        stopped,
        likely,
        saying(vec![Message::system("q")]),
        saying(vec![Message::user("q").with_document("f:1", "t")]),
        saying(vec![Message::user("q"), Message::user("")]),
    ];
    let provider = numbered();
    let cache = cached(&provider);
    for _ in 0..2 {
        for (place, request) in requests.iter().enumerate() {
            assert_eq!(
                cache.complete(request.clone()).await.unwrap().text(),
                place.to_string(),
                "{request:?}"
            );
        }
    }
    assert_eq!(provider.requests().len(), requests.len());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_for_its_time_and_no_longer() {
    let cache = cached(&numbered());
    let text = || async { cache.complete(ask("q")).await.unwrap().text() };
    assert_eq!(text().await, "0");
    sleep(Duration::from_millis(599_999)).await;
    assert_eq!(text().await, "0");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(text().await, "1");
    cache.clear();
    assert_eq!(text().await, "2");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_whole_answer_is_not_kept() {
    let cut = |reason| Completion::new(Message::assistant("cut"), reason, Usage::new(1, 1), "m");
    let provider = ScriptedProvider::new()
        .with_completion(cut(FinishReason::Length))
        .with_completion(cut(FinishReason::ContentFilter))
        .with_error(Error::new(ErrorKind::Unavailable, "call"))
        .with_broken_stream("half", Error::new(ErrorKind::Unavailable, "read"))
        .with_answer("whole");
    let cache = cached(&provider);
    cache.complete(ask("q")).await.unwrap();
    cache.complete(ask("q")).await.unwrap();
    cache.complete(ask("q")).await.unwrap_err();
    cache.stream(ask("q")).await.unwrap().collect().await.unwrap_err();
    drop(cache.stream(ask("q")).await.unwrap());
    assert_eq!(cache.stats().hits, 0);
    assert_eq!(provider.remaining(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_the_same_at_once_share_one_call() {
    let provider = ScriptedProvider::new().with_delay(Duration::from_secs(1)).with_answer("one");
    let cache = cached(&provider);
    let answers = join_all((0..50).map(|place| {
        let cache = cache.clone();
        async move {
            match place % 2 {
                0 => cache.complete(ask("q")).await.unwrap().text(),
                _ => cache.stream(ask("q")).await.unwrap().collect().await.unwrap().text(),
            }
        }
    }));
    assert!(answers.await.iter().all(|answer| answer == "one"));
    assert_eq!((provider.requests().len(), cache.stats().hits), (1, 49));
}

#[tokio::test(start_paused = true)]
async fn where_the_first_fails_or_goes_away_the_next_asks() {
    let provider = ScriptedProvider::new()
        .with_hang()
        .with_delay(Duration::from_secs(1))
        .with_error(Error::new(ErrorKind::Unavailable, "call"))
        .with_answer("third");
    let cache = cached(&provider);
    let ask = || {
        let cache = cache.clone();
        tokio::spawn(async move { cache.complete(ask("q")).await.map(|answer| answer.text()) })
    };
    let first = ask();
    sleep(Duration::from_millis(1)).await;
    let (second, third) = (ask(), ask());
    sleep(Duration::from_millis(1)).await;
    assert_eq!(provider.requests().len(), 1);
    first.abort();
    assert_eq!(second.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(third.await.unwrap().unwrap(), "third");
}

#[test]
fn a_time_or_a_size_of_zero_is_refused() {
    for field in ["ttl_ms", "max_bytes"] {
        let config = serde_json::from_str(&format!("{{\"{field}\": 0}}")).unwrap();
        let error = ResponseCache::new(ScriptedProvider::new(), &config).unwrap_err();
        assert_eq!((error.kind(), error.context("field")), (ErrorKind::InvalidInput, Some(field)));
    }
}
