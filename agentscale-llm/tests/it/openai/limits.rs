use std::time::Duration;

use agentscale_core::llm::{
    CompletionRequest, LimitWindow, LimitedUnit, LlmProvider, Message, RateLimit, RateLimits,
};
use agentscale_core::{ErrorKind, Retry};
use serde_json::json;

use super::provider_at;
use crate::server::{Reply, Server};

const ANSWER: &str = r#"{"choices":[{"message":{"content":"ten"},"finish_reason":"stop"}]}"#;

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long?")])
}

fn with_limits(reply: Reply) -> Reply {
    reply
        .header("x-ratelimit-limit-requests", "200")
        .header("x-ratelimit-remaining-requests", "0")
        .header("x-ratelimit-reset-requests", "7m12s")
        .header("x-ratelimit-limit-tokens", "30000")
        .header("x-ratelimit-remaining-tokens", "29000")
        .header("x-ratelimit-reset-tokens", "12ms")
}

fn refusal(message: &str, kind: &str) -> Reply {
    let error = json!({"message": message, "type": kind, "param": null, "code": "rate_limit_exceeded"});
    Reply::json(429, &json!({ "error": error }).to_string())
}

fn check(limits: &RateLimits) {
    let tokens = limits.get(LimitedUnit::Tokens).unwrap();
    assert_eq!((tokens.limit, tokens.remaining), (Some(30_000), Some(29_000)));
    assert_eq!(tokens.reset, Some(Duration::from_millis(12)));
}

#[tokio::test]
async fn limits_are_told_with_answers_and_streams() {
    let server = Server::replying(with_limits(Reply::json(200, ANSWER))).await;
    check(&provider_at(&server).complete(ask()).await.unwrap().rate_limits);
    let events = format!("data: {}\n\ndata: [DONE]\n\n", ANSWER.replace("message", "delta"));
    for reply in [Reply::sse(&events), Reply::json(200, ANSWER)] {
        let server = Server::replying(with_limits(reply)).await;
        let stream = provider_at(&server).stream(ask()).await.unwrap();
        check(stream.rate_limits());
        check(&stream.collect().await.unwrap().rate_limits);
    }
}

#[tokio::test]
async fn a_day_that_is_used_up_stays_so_until_its_reset() {
    let message = "Rate limit reached for m in organization o on requests per day (RPD): Limit 200, Used 200, \
                   Requested 1. Please try again in 7m12s.";
    // The wait that the header names is that for the next request of the minute.
    let reply = with_limits(refusal(message, "requests")).header("retry-after", "2");
    let server = Server::replying(reply).await;
    let error = provider_at(&server).complete(ask()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::Later));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(432)));
    let limits = RateLimits::of(&error).unwrap();
    let day = RateLimit::new(LimitedUnit::Requests)
        .with_window(LimitWindow::Day)
        .with_limit(200)
        .with_remaining(0)
        .with_reset(Duration::from_secs(432));
    assert_eq!(limits.hit(), Some(&day));
    check(limits);
}

#[tokio::test]
async fn a_minute_that_is_used_up_ends_as_the_server_says() {
    let message = "Rate limit reached for m on tokens per min (TPM): Limit 30000, Used 30000, Requested 500. \
                   Please try again in 1.5s.";
    for (reply, wait) in [
        (refusal(message, "tokens"), Some(1_500)),
        (refusal(message, "tokens").header("retry-after-ms", "1600"), Some(1_600)),
        (refusal("Slow down.", "tokens"), None),
        (refusal("Slow down.", "").header("retry-after", "3"), Some(3_000)),
    ] {
        let server = Server::replying(reply).await;
        let error = provider_at(&server).complete(ask()).await.unwrap_err();
        assert_eq!(error.retry_after(), wait.map(Duration::from_millis));
        assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::Later));
    }
}

#[tokio::test]
async fn a_quota_without_money_is_never_retried() {
    let error =
        json!({"message": "You exceeded your current quota", "type": "insufficient_quota", "code": null});
    let reply = Reply::json(429, &json!({ "error": error }).to_string());
    let server = Server::replying(with_limits(reply).header("retry-after", "2")).await;
    let error = provider_at(&server).stream(ask()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry(), error.retry_after()),
        (ErrorKind::QuotaExceeded, Retry::Never, None)
    );
}
