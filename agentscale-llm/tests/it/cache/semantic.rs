//! The promises of comparing questions by meaning.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::llm::{
    CallContext, CompletionRequest, Content, Image, LlmCapabilities, LlmProvider, Message, Role, ToolCall,
    ToolSpec,
};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::time::PausedClock;
use agentscale_core::{Deadline, ErrorKind, Json, Tenant};
use agentscale_llm::cache::{ResponseCache, ResponseCacheConfig, SemanticConfig};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use super::embedder::{Mood, Words, Wrong, cosine};
use super::{ask, numbered, saying};

const LONG: &str =
    "please tell me how the big lease of a small agent is kept while it waits for an answer to come";
const LIKE: &str =
    "please tell me how the lease of a small agent is kept while it waits for an answer to come";

fn like(provider: &ScriptedProvider, embedder: &Words) -> ResponseCache<ScriptedProvider> {
    with(provider, embedder, &SemanticConfig::default())
}

fn with(
    provider: &ScriptedProvider,
    embedder: &Words,
    config: &SemanticConfig,
) -> ResponseCache<ScriptedProvider> {
    let cache = ResponseCache::new(provider.clone(), &ResponseCacheConfig::default()).unwrap();
    let cache = cache.with_clock(Arc::new(PausedClock::new()));
    cache.with_semantic(Arc::new(embedder.clone()), config).unwrap()
}

async fn text(cache: &ResponseCache<ScriptedProvider>, request: CompletionRequest) -> String {
    cache.complete(request).await.unwrap().text()
}

#[tokio::test(start_paused = true)]
async fn a_question_that_means_the_same_is_asked_once() {
    assert!((0.95..0.999).contains(&cosine(LONG, LIKE)), "{}", cosine(LONG, LIKE));
    let provider = ScriptedProvider::new().with_delay(Duration::from_secs(1)).with_answer("0");
    let provider = provider.with_answer("1").with_answer("2");
    let cache = like(&provider, &Words::new(Mood::Works));
    assert_eq!(text(&cache, ask(LONG)).await, "0");
    assert_eq!(text(&cache, ask(LIKE)).await, "0");
    let streamed = cache.stream(ask(LIKE)).await.unwrap().collect().await.unwrap();
    assert_eq!(streamed.text(), "0");
    assert_eq!(text(&cache, ask("what is a checkpoint made of")).await, "1");
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.semantic_hits, stats.misses), (2, 2, 2));
    assert_eq!(stats.saved, Duration::from_secs(2));
    assert!((stats.semantic_hit_rate() - 0.5).abs() < 1e-9);
    cache.clear();
    assert_eq!(text(&cache, ask(LIKE)).await, "2");
}

#[tokio::test(start_paused = true)]
async fn without_an_embedder_meaning_is_not_compared() {
    let provider = numbered();
    let cache = super::cached(&provider);
    assert_eq!((text(&cache, ask(LONG)).await, text(&cache, ask(LIKE)).await), ("0".into(), "1".into()));
}

#[tokio::test(start_paused = true)]
async fn whatever_else_is_different_is_asked() {
    let tool = |name: &str| ToolSpec {
        name: name.into(),
        description: "d".into(),
        parameters: Json::parse("{}").unwrap(),
    };
    let of = |tenant: &str| CallContext::new().with_tenant(Tenant::new(tenant).unwrap());
    let versions = |text: &str| {
        [
            ask(text),
            ask(text).with_context(of("other")),
            ask(text).with_context(CallContext::new()),
            ask(text).with_model("m"),
            ask(text).with_temperature(0.1),
            ask(text).with_max_tokens(50),
            ask(text).with_tools(vec![tool("a")]),
            ask(text).with_tools(vec![tool("b")]),
            saying(vec![Message::system("be short"), Message::user(text)]),
            saying(vec![Message::system("be long"), Message::user(text)]),
            saying(vec![Message::user("hello"), Message::assistant("hi"), Message::user(text)]),
            saying(vec![Message::user("hello"), Message::assistant("ho"), Message::user(text)]),
            saying(vec![Message::user(text).with_document("f:1", "one")]),
            saying(vec![Message::user(text).with_document("f:1", "two")]),
            ask(&format!("{text} for 10 days")),
            ask(&format!("{text} for 12 days")),
            ask(&format!("{text} in Paris")),
            ask(&format!("{text} in Rome")),
            ask(&format!("{text} of \"one\" kind")),
            ask(&format!("{text} of \"two\" kind")),
            ask(&format!("{text} but not so")),
        ]
    };
    let provider = numbered();
    let cache = like(&provider, &Words::new(Mood::Works));
    for (place, request) in versions(LONG).into_iter().enumerate() {
        assert_eq!(text(&cache, request.clone()).await, place.to_string(), "{request:?}");
    }
    for (place, request) in versions(LIKE).into_iter().enumerate() {
        assert_eq!(text(&cache, request.clone()).await, place.to_string(), "{request:?}");
    }
    assert_eq!(cache.stats().semantic_hits, 21);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_like_question_has_its_time_and_no_longer() {
    let cache = like(&numbered(), &Words::new(Mood::Works));
    assert_eq!(text(&cache, ask(LONG)).await, "0");
    sleep(Duration::from_millis(599_999)).await;
    assert_eq!(text(&cache, ask(LIKE)).await, "0");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(text(&cache, ask(LIKE)).await, "1");
}

fn seeing() -> ScriptedProvider {
    numbered().with_capabilities(LlmCapabilities::new().with_images())
}

/// Pairs of requests whose questions are alike and of which the second is asked all the same.
fn never_compared() -> Vec<[CompletionRequest; 2]> {
    let call = ToolCall::new("c", "find", Json::parse("{}").unwrap());
    let result = Content::ToolResult { call_id: "c".into(), text: "found".into(), failed: false };
    let with_tool = |text: &str| {
        saying(vec![
            Message::user("find"),
            Message::new(Role::Assistant, vec![Content::ToolCall(call.clone())]),
            Message::new(Role::Tool, vec![result.clone()]),
            Message::user(text),
        ])
    };
    let with_image =
        |text: &str| saying(vec![Message::user(text).with_image(Image::inline("image/png", b"x"))]);
    let warm = |text: &str| ask(text).with_temperature(0.6);
    let long = |text: &str| ask(&format!("{} {text}", "x".repeat(2_000)));
    let of_model = |text: &str| saying(vec![Message::user("q"), Message::assistant(text)]);
    vec![
        [LONG, LIKE].map(with_tool),
        [LONG, LIKE].map(with_image),
        [LONG, LIKE].map(warm),
        [LONG, LIKE].map(long),
        [LONG, LIKE].map(of_model),
    ]
}

#[tokio::test(start_paused = true)]
async fn tools_images_warmth_and_length_are_not_compared_unless_asked_for() {
    let embedder = Words::new(Mood::Works);
    for [first, second] in never_compared() {
        let cache = like(&seeing(), &embedder);
        assert_eq!(text(&cache, first).await, "0");
        assert_eq!(text(&cache, second.clone()).await, "1", "{second:?}");
    }
    assert_eq!(embedder.contexts(), [], "nothing is sent to the embedder for them");
    let mut config = SemanticConfig::default();
    (config.tool_results, config.images, config.max_temperature) = (true, true, 1.0);
    for [first, second] in never_compared().into_iter().take(3) {
        let cache = with(&seeing(), &embedder, &config);
        assert_eq!(text(&cache, first).await, "0");
        assert_eq!(text(&cache, second.clone()).await, "0", "{second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_calls_tools_is_for_equal_texts_only() {
    let call = ToolCall::new("c", "find", Json::parse("{\"what\":\"lease\"}").unwrap());
    let provider = ScriptedProvider::new().with_tool_calls(vec![call]).with_answer("second");
    let cache = like(&provider, &Words::new(Mood::Works));
    cache.complete(ask(LONG)).await.unwrap();
    assert_eq!(text(&cache, ask(LIKE)).await, "second");
    assert_eq!(cache.complete(ask(LONG)).await.unwrap().message.tool_calls().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_embedder_that_fails_or_lies_costs_no_answer() {
    use Wrong::*;
    let moods = [NotANumber, Infinite, Zero, Short, Empty, Nothing, TooMany].map(Mood::Gives);
    for mood in moods.into_iter().chain([Mood::Fails, Mood::Hangs]) {
        let embedder = Words::new(mood);
        let cache = like(&numbered(), &embedder);
        let began = Instant::now();
        for number in 0..20 {
            let asked = ask(&format!("{LONG} {number}"));
            assert_eq!(text(&cache, asked).await, number.to_string(), "{mood:?}");
        }
        assert_eq!((cache.stats().embeddings_failed, cache.stats().hits), (20, 0), "{mood:?}");
        assert_eq!(embedder.contexts().len(), 5, "left alone after five failures: {mood:?}");
        assert!(began.elapsed() <= Duration::from_millis(5 * 251), "{mood:?} {:?}", began.elapsed());
        sleep(Duration::from_secs(31)).await;
        embedder.set(Mood::Works);
        assert_eq!(text(&cache, ask(LONG)).await, "20");
        assert_eq!(text(&cache, ask(LIKE)).await, "20", "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_a_hurry_waits_a_quarter_of_its_time_for_a_vector() {
    let embedder = Words::new(Mood::Hangs);
    let cache = like(&numbered(), &embedder);
    for _ in 0..10 {
        let clock = agentscale_core::time::PausedClock::new();
        let deadline =
            Deadline::after(agentscale_core::time::Clock::unix_micros(&clock), Duration::from_millis(100));
        let began = Instant::now();
        let mut request = ask(LONG);
        request.context.deadline = Some(deadline);
        request.context.fresh = true;
        text(&cache, request).await;
        assert!(began.elapsed() <= Duration::from_millis(26), "{:?}", began.elapsed());
    }
    assert_eq!(embedder.contexts().len(), 10, "a hurry is no failure of the embedder's");
}

#[tokio::test(start_paused = true)]
async fn a_vector_is_asked_for_in_the_callers_name() {
    let embedder = Words::new(Mood::Works);
    let cache = like(&numbered(), &embedder);
    let asked = ask(LONG);
    let context = asked.context.clone();
    text(&cache, asked).await;
    assert_eq!(embedder.contexts(), [context]);
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_name() {
    for (field, value) in [
        ("min_similarity", "0.9"),
        ("min_similarity", "1.1"),
        ("max_temperature", "-1"),
        ("max_text_bytes", "0"),
        ("embed_timeout_ms", "0"),
        ("max_bytes", "0"),
    ] {
        let config: SemanticConfig = serde_json::from_str(&format!("{{\"{field}\": {value}}}")).unwrap();
        let cache = ResponseCache::new(ScriptedProvider::new(), &ResponseCacheConfig::default()).unwrap();
        let error = cache.with_semantic(Arc::new(Words::new(Mood::Works)), &config).unwrap_err();
        assert_eq!((error.kind(), error.context("field")), (ErrorKind::InvalidInput, Some(field)));
    }
}

/// Questions of few words, so that many of them are alike.
fn question() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["lease", "Ann", "Bob", "10", "12", "not", "agent", "a", "the"]);
    let start = prop::sample::select(vec![LONG, LIKE]);
    (start, prop::collection::vec(word, 0..3))
        .prop_map(|(start, words)| format!("{start} {}", words.join(" ")))
}

fn request() -> impl Strategy<Value = CompletionRequest> {
    let tenant = prop::sample::select(vec!["acme", "other"]);
    let system = prop::sample::select(vec!["short", "long"]);
    let temperature = prop::sample::select(vec![None, Some(0.2)]);
    (question(), tenant, system, temperature).prop_map(|(question, tenant, system, temperature)| {
        let context = CallContext::new().with_tenant(Tenant::new(tenant).unwrap());
        let mut request =
            saying(vec![Message::system(system), Message::user(question)]).with_context(context);
        request.temperature = temperature;
        request
    })
}

/// The words of a question that must be equal.
fn telling(question: &str) -> Vec<&str> {
    question.split(' ').filter(|word| ["Ann", "Bob", "10", "12", "not"].contains(word)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_given_was_asked_alike_by_the_same_tenant(requests in prop::collection::vec(request(), 2..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let provider = numbered();
            let cache = like(&provider, &Words::new(Mood::Works));
            for request in requests {
                let answer: usize = text(&cache, request.clone()).await.parse().unwrap();
                let mut asked = provider.requests()[answer].clone();
                let (one, other) = (asked.messages.pop().unwrap().text(), request.messages[1].text());
                prop_assert!(cosine(&one, &other) >= 0.95 - 1e-6, "{one} / {other}");
                prop_assert_eq!(telling(&one), telling(&other));
                asked.messages.push(Message::user(other));
                prop_assert_eq!(asked, request);
            }
            Ok(())
        })?;
    }
}
