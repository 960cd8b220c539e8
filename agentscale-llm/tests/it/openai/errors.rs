use std::error::Error as _;
use std::time::Duration;

use agentscale_core::llm::PartialAnswer;
use agentscale_core::llm::{CompletionRequest, LlmProvider, Message};
use agentscale_core::{Error, ErrorKind, Retry};
use agentscale_llm::openai::{OpenAiConfig, OpenAiProvider};

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
    let streamed = provider.stream(ask()).await.unwrap_err();
    assert_eq!(error.to_string(), streamed.to_string());
    let mut shown = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        shown.push_str(&format!("{cause} {cause:?}"));
        source = cause.source();
    }
    assert!(!shown.contains(PROMPT) && !shown.contains("secret-key"), "{shown}");
    error
}

fn body(message: &str, kind: &str, code: &str) -> String {
    format!(
        r#"{{"error":{{"message":"{message} {PROMPT} sk-secret-key","type":"{kind}","param":null,"code":{code}}}}}"#
    )
}

#[tokio::test]
async fn a_body_of_an_error_decides_its_kind_and_retry() {
    let invalid = "invalid_request_error";
    for (status, message, kind, code, expected, retry) in [
        (400, "", invalid, "\"context_length_exceeded\"", ErrorKind::ContextTooLong, Retry::Never),
        (
            400,
            "This model's maximum context length is 4096.",
            "BadRequestError",
            "400",
            ErrorKind::ContextTooLong,
            Retry::Never,
        ),
        (400, "", invalid, "\"content_policy_violation\"", ErrorKind::ContentRefused, Retry::Never),
        (400, "", invalid, "null", ErrorKind::InvalidInput, Retry::Never),
        (400, "", invalid, "\"unsupported_value\"", ErrorKind::Unsupported, Retry::Never),
        (401, "", invalid, "\"invalid_api_key\"", ErrorKind::Unauthenticated, Retry::Never),
        (403, "", invalid, "\"unsupported_country\"", ErrorKind::PermissionDenied, Retry::Never),
        (404, "", invalid, "\"model_not_found\"", ErrorKind::NotFound, Retry::Never),
        (408, "", "", "null", ErrorKind::Unavailable, Retry::Later),
        (409, "", "", "null", ErrorKind::Conflict, Retry::Later),
        (413, "", "", "null", ErrorKind::TooLarge, Retry::Never),
        (429, "", "insufficient_quota", "\"insufficient_quota\"", ErrorKind::QuotaExceeded, Retry::Never),
        (
            429,
            "Rate limit reached",
            "tokens",
            "\"rate_limit_exceeded\"",
            ErrorKind::RateLimited,
            Retry::Later,
        ),
        (
            429,
            "Request too large for small",
            "tokens",
            "\"rate_limit_exceeded\"",
            ErrorKind::TooLarge,
            Retry::Never,
        ),
        (500, "", "server_error", "null", ErrorKind::Unavailable, Retry::Later),
        (503, "The engine is currently overloaded", "", "null", ErrorKind::Overloaded, Retry::Later),
        (529, "", "", "null", ErrorKind::Overloaded, Retry::Later),
    ] {
        let error = error_of(Reply::json(status, &body(message, kind, code))).await;
        assert_eq!((error.kind(), error.retry()), (expected, retry), "{status} {code}");
        assert_eq!(error.context("status"), Some(status.to_string().as_str()));
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_leaves_the_status() {
    for (status, kind, body, expected) in [
        (502, "text/html", "<html>Bad gateway</html>", ErrorKind::Unavailable),
        (401, "text/plain", "invalid key", ErrorKind::Unauthenticated),
        (429, "text/plain", "", ErrorKind::RateLimited),
        (302, "text/html", "<html>moved</html>", ErrorKind::InvalidInput),
        (200, "text/html", "<html>log in</html>", ErrorKind::Corrupt),
    ] {
        let server = Server::replying(Reply::of(status, kind, body)).await;
        assert_eq!(provider_at(&server).complete(ask()).await.unwrap_err().kind(), expected, "{status}");
    }
    let page = Server::replying(Reply::of(200, "text/html", "<html>log in</html>")).await;
    let streamed = provider_at(&page).stream(ask()).await.unwrap().collect().await;
    assert_eq!(streamed.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_servers_wish_for_a_retry_is_passed_on() {
    let limited = || Reply::json(429, "{}");
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (reply, retry, after) in [
        (limited().header("retry-after-ms", "250").header("retry-after", "1"), Retry::Later, Some(250)),
        (limited().header("retry-after", "2"), Retry::Later, Some(2_000)),
        (
            limited().header("date", date).header("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"),
            Retry::Later,
            Some(60_000),
        ),
        (limited().header("retry-after", date), Retry::Later, None),
        (limited().header("retry-after", "2").header("x-should-retry", "false"), Retry::Never, None),
        (Reply::json(400, "{}").header("x-should-retry", "true"), Retry::Later, None),
        (Reply::json(400, "{}").header("retry-after", "2"), Retry::Never, None),
    ] {
        let error = error_of(reply).await;
        assert_eq!((error.retry(), error.retry_after()), (retry, after.map(Duration::from_millis)));
    }
}

#[tokio::test]
async fn a_cut_body_is_unavailable_and_says_what_came() {
    let part = "data: {\"choices\":[{\"delta\":{\"content\":\"ten \"}}]}\n\n";
    let server = Server::replying(Reply::sse(part).then(Part::Cut)).await;
    let error = provider_at(&server).stream(ask()).await.unwrap().collect().await.unwrap_err();
    let came = PartialAnswer::of(&error).unwrap();
    assert_eq!((error.kind(), came.message.text().as_str()), (ErrorKind::Unavailable, "ten "));
    assert_eq!(provider_at(&server).complete(ask()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let server = Server::replying(Reply::json(200, "{}")).await;
    let provider = provider_at(&server);
    drop(server);
    tokio::task::yield_now().await;
    assert_eq!(provider.complete(ask()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_silent_server_ends_at_the_timeout() {
    let server = Server::replying(Reply::json(200, "").then(Part::Hang)).await;
    let mut config = OpenAiConfig::new().with_base_url(&server.url).with_model("small");
    config.connection.timeout_ms = 50;
    let error = OpenAiProvider::new(&config).unwrap().complete(ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large() {
    let server = Server::replying(Reply::json(200, &" ".repeat(10_000))).await;
    let mut config = OpenAiConfig::new().with_base_url(&server.url).with_model("small");
    config.connection.max_response_bytes = 5_000;
    let error = OpenAiProvider::new(&config).unwrap().complete(ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
