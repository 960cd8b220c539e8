use std::error::Error as _;

use agentscale_core::llm::{CompletionRequest, LlmProvider, Message, PartialAnswer};
use agentscale_core::{Error, ErrorKind, Retry};

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

#[tokio::test]
async fn the_type_of_an_error_decides_its_kind_and_retry() {
    let invalid = "invalid_request_error";
    for (status, kind, message, expected, retry) in [
        (400, invalid, "max_tokens: Field required", ErrorKind::InvalidInput, Retry::Never),
        (
            400,
            invalid,
            "prompt is too long: 210000 tokens > 200000 maximum",
            ErrorKind::ContextTooLong,
            Retry::Never,
        ),
        (
            400,
            invalid,
            "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000",
            ErrorKind::ContextTooLong,
            Retry::Never,
        ),
        (
            400,
            invalid,
            "Your credit balance is too low to access the Anthropic API.",
            ErrorKind::QuotaExceeded,
            Retry::Never,
        ),
        (
            400,
            invalid,
            "You have reached your specified API usage limits.",
            ErrorKind::QuotaExceeded,
            Retry::Never,
        ),
        (400, invalid, "Output blocked by content filtering policy", ErrorKind::ContentRefused, Retry::Never),
        (
            400,
            invalid,
            "tool_choice: type any is not supported for this model.",
            ErrorKind::Unsupported,
            Retry::Never,
        ),
        (
            400,
            invalid,
            "adaptive thinking is not supported on this model",
            ErrorKind::Unsupported,
            Retry::Never,
        ),
        (401, "authentication_error", "invalid x-api-key", ErrorKind::Unauthenticated, Retry::Never),
        (402, "billing_error", "", ErrorKind::QuotaExceeded, Retry::Never),
        (403, "permission_error", "", ErrorKind::PermissionDenied, Retry::Never),
        (404, "not_found_error", "model: x", ErrorKind::NotFound, Retry::Never),
        (413, "request_too_large", "", ErrorKind::TooLarge, Retry::Never),
        (429, "rate_limit_error", "", ErrorKind::RateLimited, Retry::Later),
        (500, "api_error", "", ErrorKind::Unavailable, Retry::Later),
        (504, "timeout_error", "", ErrorKind::Unavailable, Retry::Later),
        (529, "overloaded_error", "", ErrorKind::Overloaded, Retry::Later),
        (503, "new_error", "", ErrorKind::Unavailable, Retry::Later),
        (409, "new_error", "", ErrorKind::Conflict, Retry::Later),
    ] {
        let body = format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message} {PROMPT} sk-secret-key"}},"request_id":"req_01"}}"#
        );
        let error = error_of(Reply::json(status, &body)).await;
        assert_eq!((error.kind(), error.retry()), (expected, retry), "{status} {kind} {message}");
        let told = (error.context("status"), error.context("type"));
        assert_eq!(told, (Some(status.to_string().as_str()), Some(kind)));
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_leaves_the_status() {
    for (status, body, expected) in [
        (502, "<html>Bad gateway</html>", ErrorKind::Unavailable),
        (529, "", ErrorKind::Overloaded),
        (401, "no", ErrorKind::Unauthenticated),
        (429, "{\"error\":7}", ErrorKind::RateLimited),
    ] {
        assert_eq!(error_of(Reply::of(status, "text/html", body)).await.kind(), expected, "{status}");
    }
    let page = Server::replying(Reply::of(200, "text/html", "<html>log in</html>")).await;
    assert_eq!(provider_at(&page).complete(ask()).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn an_error_in_the_place_of_an_answer_is_one() {
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let provider = provider_at(&server);
    assert_eq!(provider.complete(ask()).await.unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!(provider.stream(ask()).await.unwrap_err().kind(), ErrorKind::Overloaded);
}

#[tokio::test]
async fn a_cut_body_is_unavailable_and_says_what_came() {
    let part = "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"ten \"}}\n\n";
    let server = Server::replying(Reply::sse(part).then(Part::Cut)).await;
    let error = provider_at(&server).stream(ask()).await.unwrap().collect().await.unwrap_err();
    let came = PartialAnswer::of(&error).unwrap();
    assert_eq!((error.kind(), came.message.text().as_str()), (ErrorKind::Unavailable, "ten "));
}
