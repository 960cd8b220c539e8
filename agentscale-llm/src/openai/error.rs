//! What a server or the network said, as an error of the SDK. Messages of a server may quote the prompt or a part of the
//! key, so they decide the kind and are not kept.

use std::time::SystemTime;

use agentscale_core::{Error, ErrorKind, Retry};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::wire::{ErrorBody, ErrorCode, ErrorFields, ErrorFrame};
use crate::retry_after::{RetryHint, parse_http_date};

const OPERATION: &str = "call openai";

/// An answer with a status that is no success.
pub(super) fn from_response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // The server's own date keeps a skewed clock out of the wait.
    let now = header("date").and_then(parse_http_date).unwrap_or_else(SystemTime::now);
    let mut error = from_body(Some(status), body);
    if let Some(id) = header("x-request-id").filter(|id| is_code(id)) {
        error = error.with_context("request_id", id);
    }
    RetryHint::read(header, now).apply(error)
}

/// A body that tells an error, or one that should and does not: HTML of a proxy, or nothing.
pub(super) fn from_body(status: Option<StatusCode>, body: &[u8]) -> Error {
    let frame: ErrorFrame = serde_json::from_slice(body).unwrap_or_default();
    match frame.error {
        Some(error) => classify(status, error),
        None => classify(status, ErrorBody::Fields(frame.bare)),
    }
}

/// An error object within a stream that began well.
pub(super) fn from_stream(body: ErrorBody) -> Error {
    classify(None, body).with_context("where", "within the stream")
}

/// The network's own trouble.
pub(super) fn from_network(error: reqwest::Error) -> Error {
    // A connection that was not made in time says nothing about the deadline of the call.
    let kind = match error.is_timeout() && !error.is_connect() {
        true => ErrorKind::DeadlineExceeded,
        false if error.is_builder() => ErrorKind::InvalidInput,
        false => ErrorKind::Unavailable,
    };
    Error::new(kind, OPERATION).with_source(error.without_url())
}

fn classify(status: Option<StatusCode>, body: ErrorBody) -> Error {
    let fields = match body {
        ErrorBody::Fields(fields) => fields,
        ErrorBody::Text(message) => ErrorFields { message: Some(message), ..ErrorFields::default() },
    };
    let (code, number) = match fields.code {
        Some(ErrorCode::Text(code)) => (code, None),
        Some(ErrorCode::Number(number)) => (String::new(), StatusCode::from_u16(number).ok()),
        Some(ErrorCode::Other(_)) | None => (String::new(), None),
    };
    let status = status.or(number).or_else(|| StatusCode::from_bytes(code.as_bytes()).ok());
    let name = fields.kind.unwrap_or_default();
    let message = fields.message.unwrap_or_default().to_lowercase();

    let said = of_code(&code).or_else(|| of_code(&name)).or_else(|| of_message(&message));
    let kind = match said {
        Some(ErrorKind::RateLimited) if message.starts_with("request too large") => ErrorKind::TooLarge,
        Some(kind) => kind,
        None if status.is_none() && name == "invalid_request_error" => ErrorKind::InvalidInput,
        None => status.map_or(ErrorKind::Unavailable, of_status),
    };
    let mut error = Error::new(kind, OPERATION);
    if matches!(status.map(|status| status.as_u16()), Some(408 | 409)) {
        error = error.with_retry(Retry::Later);
    }
    if let Some(status) = status {
        error = error.with_context("status", status.as_u16());
    }
    for (field, value) in [("code", code), ("type", name)] {
        if is_code(&value) {
            error = error.with_context(field, value);
        }
    }
    error
}

fn of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "context_length_exceeded" | "exceed_context_size_error" | "string_above_max_length" => {
            ErrorKind::ContextTooLong
        }
        "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active" => {
            ErrorKind::QuotaExceeded
        }
        "invalid_api_key" | "authentication_error" | "account_deactivated" => ErrorKind::Unauthenticated,
        "content_policy_violation" | "content_filter" | "moderation_blocked" => ErrorKind::ContentRefused,
        "model_not_found" => ErrorKind::NotFound,
        "permission_error" | "insufficient_permissions" => ErrorKind::PermissionDenied,
        "rate_limit_exceeded" | "rate_limit_error" | "rate_limit_reached" => ErrorKind::RateLimited,
        "overloaded_error" | "server_overloaded" | "engine_overloaded" => ErrorKind::Overloaded,
        _ => return None,
    })
}

/// Compatible servers often tell only in words what OpenAI has a code for.
fn of_message(message: &str) -> Option<ErrorKind> {
    let says = |words: &str| message.contains(words);
    if says("maximum context length") || says("exceeds the available context size") {
        Some(ErrorKind::ContextTooLong)
    } else if says("currently overloaded") {
        Some(ErrorKind::Overloaded)
    } else {
        None
    }
}

fn of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 => ErrorKind::Unauthenticated,
        402 => ErrorKind::QuotaExceeded,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        408 => ErrorKind::Unavailable,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::RateLimited,
        529 => ErrorKind::Overloaded,
        501 => ErrorKind::Unsupported,
        300..=499 => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    }
}

/// Whether a text from outside is a name that can be shown, not a sentence that may quote the prompt.
fn is_code(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}
