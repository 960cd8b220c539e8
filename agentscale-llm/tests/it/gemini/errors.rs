use std::error::Error as _;
use std::time::Duration;

use agentscale_core::llm::{
    CompletionRequest, LimitWindow, LimitedUnit, LlmProvider, Message, PartialAnswer, RateLimits,
};
use agentscale_core::{Error, ErrorKind, Retry};
use serde_json::{Value, json};

use super::provider_at;
use crate::server::{Part, Reply, Server};

const PROMPT: &str = "the-prompt-text";

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user(PROMPT)])
}

async fn error_of(reply: Reply) -> Error {
    let server = Server::replying(reply).await;
    let provider = provider_at(&server);
    let error = provider.complete(ask()).await.unwrap_err();
    assert_eq!(error.to_string(), provider.stream(ask()).await.unwrap_err().to_string());
    let mut shown = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        shown.push_str(&format!("{cause} {cause:?}"));
        source = cause.source();
    }
    assert!(!shown.contains(PROMPT) && !shown.contains("secret-key"), "{shown}");
    error
}

fn body(code: u16, status: &str, message: &str, details: &Value) -> String {
    let message = format!("{message} {PROMPT} AIza-secret-key");
    json!({"error": {"code": code, "message": message, "status": status, "details": details}}).to_string()
}

fn info(reason: &str) -> Value {
    json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}])
}

fn quota(id: &str, value: &str, delay: &str) -> Value {
    json!([
        {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"url": "https://example.com"}]},
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id, "quotaValue": value}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ])
}

#[tokio::test]
async fn the_name_of_an_error_decides_its_kind_and_retry() {
    use ErrorKind::*;
    let invalid = "INVALID_ARGUMENT";
    for (code, status, message, details, kind) in [
        (400, invalid, "Value out of range: 99", Value::Null, InvalidInput),
        (
            400,
            invalid,
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            Value::Null,
            ContextTooLong,
        ),
        (
            400,
            invalid,
            "API key not valid. Please pass a valid API key.",
            info("API_KEY_INVALID"),
            Unauthenticated,
        ),
        (
            400,
            invalid,
            "API key expired. Please renew the API key.",
            info("API_KEY_INVALID"),
            Unauthenticated,
        ),
        (400, invalid, "Thinking level MINIMAL is not supported for this model.", Value::Null, Unsupported),
        (
            400,
            invalid,
            "Forced function calling with a response mime type is unsupported",
            Value::Null,
            Unsupported,
        ),
        (
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
            Value::Null,
            PermissionDenied,
        ),
        (400, "OUT_OF_RANGE", "", Value::Null, InvalidInput),
        (401, "UNAUTHENTICATED", "", Value::Null, Unauthenticated),
        (403, "PERMISSION_DENIED", "", Value::Null, PermissionDenied),
        (403, "PERMISSION_DENIED", "", info("API_KEY_SERVICE_BLOCKED"), Unauthenticated),
        (403, "PERMISSION_DENIED", "Your API key was reported as leaked.", Value::Null, Unauthenticated),
        (404, "NOT_FOUND", "models/x is not found for API version v1beta", Value::Null, NotFound),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "Resource has been exhausted (e.g. check quota).",
            Value::Null,
            RateLimited,
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "limit: 0",
            quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "0", "10s"),
            QuotaExceeded,
        ),
        (499, "CANCELLED", "", Value::Null, Unavailable),
        (500, "INTERNAL", "", Value::Null, Unavailable),
        (500, "UNKNOWN", "", Value::Null, Unavailable),
        (501, "UNIMPLEMENTED", "", Value::Null, Unsupported),
        (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", Value::Null, Overloaded),
        (504, "DEADLINE_EXCEEDED", "", Value::Null, Unavailable),
        (413, "NEW_NAME", "", Value::Null, TooLarge),
    ] {
        let error = error_of(Reply::json(code, &body(code, status, message, &details))).await;
        let retry = match kind {
            RateLimited | Unavailable | Overloaded => Retry::Later,
            _ => Retry::Never,
        };
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{code} {status} {message}");
        assert_eq!(error.context("code"), Some(status));
    }
}

#[tokio::test]
async fn a_limit_by_the_minute_ends_when_the_answer_says() {
    let details = quota("GenerateContentInputTokensPerModelPerMinute-FreeTier", "250000", "34.4s");
    let error = error_of(Reply::json(429, &body(429, "RESOURCE_EXHAUSTED", "", &details))).await;
    let wait = Some(Duration::from_millis(34_400));
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, wait));
    let hit = *RateLimits::of(&error).unwrap().hit().unwrap();
    assert_eq!((hit.unit, hit.window), (LimitedUnit::InputTokens, Some(LimitWindow::Minute)));
    assert_eq!((hit.limit, hit.reset), (Some(250_000), wait));
}

#[tokio::test]
async fn a_daily_limit_stays_closed_until_midnight_in_california() {
    for (date, delay, wait) in [
        // 17:00 UTC is 9:00 in winter, and 10:00 in summer.
        ("Thu, 15 Jan 2026 17:00:00 GMT", "18s", 15 * 3_600),
        ("Wed, 15 Jul 2026 17:00:00 GMT", "18s", 14 * 3_600),
        ("Wed, 15 Jul 2026 17:00:00 GMT", "90000s", 90_000),
        ("Wed, 15 Jul 2026 17:00:00 GMT", "soon", 14 * 3_600),
    ] {
        let details = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "250", delay);
        let reply = Reply::json(429, &body(429, "RESOURCE_EXHAUSTED", "", &details)).header("date", date);
        let error = error_of(reply.header("retry-after", "5")).await;
        assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::Later));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(wait)), "{date} {delay}");
        let hit = *RateLimits::of(&error).unwrap().hit().unwrap();
        assert_eq!((hit.unit, hit.window), (LimitedUnit::Requests, Some(LimitWindow::Day)));
        assert_eq!((hit.limit, hit.remaining), (Some(250), Some(0)));
    }
}

#[tokio::test]
async fn an_error_in_a_list_is_one_too() {
    let listed = format!("[{}]", body(503, "UNAVAILABLE", "", &Value::Null));
    assert_eq!(error_of(Reply::json(503, &listed)).await.kind(), ErrorKind::Overloaded);
    let within = Server::replying(Reply::json(200, &listed)).await;
    assert_eq!(provider_at(&within).stream(ask()).await.unwrap_err().kind(), ErrorKind::Overloaded);
}

#[tokio::test]
async fn a_body_that_is_no_json_leaves_the_status() {
    for (status, body, expected) in [
        (502, "<html>Bad gateway</html>", ErrorKind::Unavailable),
        (429, "", ErrorKind::RateLimited),
        (403, "{\"error\":7}", ErrorKind::PermissionDenied),
        (404, "[]", ErrorKind::NotFound),
    ] {
        assert_eq!(error_of(Reply::of(status, "text/html", body)).await.kind(), expected, "{status}");
    }
}

#[tokio::test]
async fn a_cut_body_is_unavailable_and_says_what_came() {
    let part = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ten \"}]}}]}\r\n\r\n";
    let server = Server::replying(Reply::sse(part).then(Part::Cut)).await;
    let error = provider_at(&server).stream(ask()).await.unwrap().collect().await.unwrap_err();
    let came = PartialAnswer::of(&error).unwrap();
    assert_eq!((error.kind(), came.message.text().as_str()), (ErrorKind::Unavailable, "ten "));
}

#[tokio::test]
async fn a_limit_that_stands_in_the_reason_is_one_too() {
    let told = |limit: &str, value: &str| {
        let metadata = json!({"quota_limit": limit, "quota_limit_value": value, "consumer": "projects/1"});
        let details =
            json!([{"reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com", "metadata": metadata}]);
        Reply::json(429, &body(429, "RESOURCE_EXHAUSTED", "Quota exceeded", &details))
    };
    let daily = told("GenerateContentRequestsPerDayPerProjectPerRegion", "50");
    let error = error_of(daily.header("date", "Thu, 15 Jan 2026 07:00:00 GMT")).await;
    let hit = *RateLimits::of(&error).unwrap().hit().unwrap();
    assert_eq!((hit.unit, hit.window, hit.limit), (LimitedUnit::Requests, Some(LimitWindow::Day), Some(50)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3_600)));

    let error = error_of(told("GenerateContentRequestsPerMinutePerProjectPerRegion", "0")).await;
    assert_eq!((error.kind(), error.retry()), (ErrorKind::QuotaExceeded, Retry::Never));
}
