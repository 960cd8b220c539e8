//! What the cache says of itself, and what is asked in spite of it.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::llm::{Completion, CompletionRequest, FinishReason, LlmProvider, Message, Usage};
use agentscale_core::metrics::Metrics;
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::time::PausedClock;
use agentscale_core::{Error, ErrorKind, Priority};
use agentscale_llm::cache::{ResponseCache, ResponseCacheConfig, SemanticConfig};
use tokio::time::sleep;

use super::embedder::{Mood, Words};
use super::{ask, cached, numbered};

fn checked(provider: &ScriptedProvider, one_in: u32) -> ResponseCache<ScriptedProvider> {
    let mut config = ResponseCacheConfig::default();
    config.check_one_in = one_in;
    let cache = ResponseCache::new(provider.clone(), &config).unwrap();
    cache.with_clock(Arc::new(PausedClock::new()))
}

fn fresh(text: &str) -> CompletionRequest {
    let request = ask(text);
    let context = request.context.clone().with_fresh_answer();
    request.with_context(context)
}

/// Lets what runs in the background run.
async fn settle() {
    sleep(Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn who_wants_a_fresh_answer_gets_one_and_others_get_it_from_then_on() {
    let cache = cached(&numbered());
    let text = |request| async { cache.complete(request).await.unwrap().text() };
    assert_eq!(text(ask("q")).await, "0");
    assert_eq!(text(fresh("q")).await, "1");
    assert_eq!(text(ask("q")).await, "1");
    let streamed = cache.stream(fresh("q")).await.unwrap().collect().await.unwrap();
    assert_eq!((streamed.text(), text(ask("q")).await), ("2".into(), "2".into()));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.bypassed), (2, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_not_kept() {
    let empty = || Completion::new(Message::assistant(" \n"), FinishReason::Stop, Usage::new(1, 0), "m");
    let provider = ScriptedProvider::new().with_completion(empty()).with_answer("whole");
    let cache = cached(&provider);
    cache.complete(ask("q")).await.unwrap();
    assert_eq!(cache.complete(ask("q")).await.unwrap().text(), "whole");
}

#[tokio::test(start_paused = true)]
async fn one_answer_in_so_many_is_asked_for_anew_and_compared() {
    let provider =
        ["a b", "a  b", "a c", "a c"].into_iter().fold(ScriptedProvider::new(), |p, a| p.with_answer(a));
    let cache = checked(&provider, 2);
    let mut given = Vec::new();
    for _ in 0..7 {
        given.push(cache.complete(ask("q")).await.unwrap().text());
        settle().await;
    }
    assert_eq!(given, ["a b", "a b", "a  b", "a  b", "a c", "a c", "a c"]);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.checked, stats.stale), (6, 3, 1));
    assert!((stats.staleness().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    let asked = provider.requests();
    assert_eq!(asked[0].context.priority, Priority::Conversation);
    assert!(asked[1..].iter().all(|asked| asked.context.priority == Priority::Evaluation));
    assert!(asked.iter().all(|other| other.context.tenant == asked[0].context.tenant));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_says_nothing_and_none_is_made_unasked() {
    let provider =
        ScriptedProvider::new().with_answer("a").with_error(Error::new(ErrorKind::Unavailable, "call"));
    let cache = checked(&provider, 1);
    for _ in 0..2 {
        assert_eq!(cache.complete(ask("q")).await.unwrap().text(), "a");
        settle().await;
    }
    assert_eq!((cache.stats().checked, cache.stats().staleness()), (0, None));

    let provider = numbered();
    let cache = cached(&provider);
    for _ in 0..5 {
        cache.complete(ask("q")).await.unwrap();
        settle().await;
    }
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_meaning_is_compared_an_answer_in_other_words_is_the_same() {
    let long =
        "a lease of an agent is kept by its owner for as long as the owner says so and it ends after that by";
    for (other, stale) in [
        (format!("so {long} itself"), 0),
        (format!("{long} itself after 12 seconds"), 1),
        ("nobody knows".to_owned(), 1),
    ] {
        let provider =
            ScriptedProvider::new().with_answer(format!("{long} itself")).with_answer(other.as_str());
        let cache = checked(&provider, 1);
        let embedder = Arc::new(Words::new(Mood::Works));
        let cache = cache.with_semantic(embedder, &SemanticConfig::default()).unwrap();
        cache.complete(ask("q")).await.unwrap();
        cache.complete(ask("q")).await.unwrap();
        settle().await;
        assert_eq!((cache.stats().checked, cache.stats().stale), (1, stale), "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_ends_with_its_cache() {
    let provider = ScriptedProvider::new().with_answer("a").with_hang();
    let cache = checked(&provider, 1);
    for _ in 0..2 {
        cache.complete(ask("q")).await.unwrap();
    }
    settle().await;
    assert_eq!(provider.requests().len(), 2);
    drop(cache);
    settle().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_it_does_is_recorded() {
    let metrics = Metrics::new();
    let embedder = Words::new(Mood::Works);
    let cache = checked(&numbered(), 1).with_metrics(&metrics).unwrap();
    let cache = cache.with_semantic(Arc::new(embedder.clone()), &SemanticConfig::default()).unwrap();
    for text in ["how is a lease kept", "how is a lease kept", "lease kept is a how"] {
        cache.complete(ask(text)).await.unwrap();
        settle().await;
    }
    embedder.set(Mood::Fails);
    cache.complete(fresh("q")).await.unwrap();
    let text = metrics.snapshot().to_openmetrics();
    for line in [
        "agentscale_cache_requests_total{result=\"exact\"} 1\n",
        "agentscale_cache_requests_total{result=\"semantic\"} 1\n",
        "agentscale_cache_requests_total{result=\"miss\"} 1\n",
        "agentscale_cache_requests_total{result=\"bypass\"} 1\n",
        "agentscale_cache_saved_seconds_count 2\n",
        "agentscale_cache_answer_age_seconds_count 2\n",
        "agentscale_cache_embedding_failures_total{error_type=\"unavailable\"} 1\n",
        "agentscale_cache_checks_total{result=\"stale\"} 2\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}
