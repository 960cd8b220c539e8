//! What Anthropic says in its refusals.

use agentscale_core::{Error, ErrorKind};
use serde::Deserialize;

use crate::refusal::{of_status, refused};

pub(super) const OPERATION: &str = "call anthropic";

/// `{"type": "error", "error": {"type": …, "message": …}}`.
#[cfg(feature = "anthropic")]
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorFrame {
    error: Option<ErrorFields>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorFields {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
}

/// A body that tells an error, or one that should and does not: HTML of a proxy, or nothing.
#[cfg(feature = "anthropic")]
pub(super) fn from_body(status: Option<u16>, body: &[u8]) -> Error {
    let frame: ErrorFrame = serde_json::from_slice(body).unwrap_or_default();
    classify(status, frame.error.unwrap_or_default())
}

/// An error within an answer that began well.
pub(super) fn from_answer(fields: ErrorFields) -> Error {
    classify(None, fields).with_context("where", "within the answer")
}

fn classify(status: Option<u16>, fields: ErrorFields) -> Error {
    let name = fields.kind.unwrap_or_default();
    let message = fields.message.unwrap_or_default().to_lowercase();
    let kind = of_type(&name, &message).unwrap_or_else(|| status.map_or(ErrorKind::Unavailable, of_status));
    refused(OPERATION, kind, status, &[("type", &name)])
}

/// The table of <https://platform.claude.com/docs/en/api/errors>.
fn of_type(name: &str, message: &str) -> Option<ErrorKind> {
    Some(match name {
        "invalid_request_error" => of_message(message),
        "authentication_error" => ErrorKind::Unauthenticated,
        "billing_error" => ErrorKind::QuotaExceeded,
        "permission_error" => ErrorKind::PermissionDenied,
        "not_found_error" => ErrorKind::NotFound,
        "request_too_large" => ErrorKind::TooLarge,
        "rate_limit_error" => ErrorKind::RateLimited,
        "api_error" | "timeout_error" => ErrorKind::Unavailable,
        "overloaded_error" => ErrorKind::Overloaded,
        _ => return None,
    })
}

/// One type stands for what is told apart in words only.
fn of_message(message: &str) -> ErrorKind {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&["prompt is too long", "exceed context limit", "exceeds the context window"]) {
        ErrorKind::ContextTooLong
    } else if says(&["credit balance is too low", "specified api usage limits"]) {
        ErrorKind::QuotaExceeded
    } else if says(&["blocked by content filtering"]) {
        ErrorKind::ContentRefused
    } else if says(&["not supported", "does not support"]) {
        ErrorKind::Unsupported
    } else {
        ErrorKind::InvalidInput
    }
}
