//! What OpenAI and compatible servers say in their refusals.

use agentscale_core::llm::{RateLimit, RateLimits};
use agentscale_core::{Error, ErrorKind};

use crate::refusal::{of_status, refused};
use wire::{ErrorCode, ErrorFields, ErrorFrame};

mod limit;
mod wire;

pub(crate) use wire::ErrorBody;

pub(super) const OPERATION: &str = "call openai";

/// A body that tells an error, or one that should and does not: HTML of a proxy, or nothing.
pub(crate) fn from_body(status: Option<u16>, body: &[u8]) -> Error {
    let frame: ErrorFrame = serde_json::from_slice(body).unwrap_or_default();
    match frame.error {
        Some(error) => classify(status, error),
        None => classify(status, ErrorBody::Fields(frame.bare)),
    }
}

/// An event that tells an error: in an object of its own, or in its own fields.
pub(crate) fn from_event(data: &[u8]) -> Error {
    let frame: ErrorFrame = serde_json::from_slice(data).unwrap_or_default();
    let bare = || ErrorFields { kind: None, ..frame.bare };
    from_stream(frame.error.unwrap_or_else(|| ErrorBody::Fields(bare())))
}

/// An error object within a stream that began well.
pub(crate) fn from_stream(body: ErrorBody) -> Error {
    classify(None, body).with_context("where", "within the stream")
}

fn classify(status: Option<u16>, body: ErrorBody) -> Error {
    let fields = match body {
        ErrorBody::Fields(fields) => fields,
        ErrorBody::Text(message) => ErrorFields { message: Some(message), ..ErrorFields::default() },
    };
    let (code, number) = match fields.code {
        Some(ErrorCode::Text(code)) => (code, None),
        Some(ErrorCode::Number(number)) => (String::new(), Some(number)),
        Some(ErrorCode::Other(_)) | None => (String::new(), None),
    };
    let told = number.or_else(|| code.parse().ok()).filter(|number| (100..1_000).contains(number));
    let status = status.or(told);
    let name = fields.kind.unwrap_or_default();
    let message = fields.message.unwrap_or_default().to_lowercase();

    let said = of_code(&code).or_else(|| of_code(&name)).or_else(|| of_message(&message));
    let kind = match said {
        Some(ErrorKind::RateLimited) if message.starts_with("request too large") => ErrorKind::TooLarge,
        Some(kind) => kind,
        None if status.is_none() && is_invalid(&name, &code) => ErrorKind::InvalidInput,
        None => status.map_or(ErrorKind::Unavailable, of_status),
    };
    let error = refused(OPERATION, kind, status, &[("code", &code), ("type", &name)]);
    match limit::hit(&message, &name).filter(|_| kind == ErrorKind::RateLimited) {
        Some(hit) => with_limit(error, hit),
        None => error,
    }
}

/// Of the codes that a stream fails with, those of what was asked for.
fn is_invalid(name: &str, code: &str) -> bool {
    name == "invalid_request_error" || code.starts_with("invalid_") || code.contains("image")
}

fn with_limit(error: Error, hit: RateLimit) -> Error {
    let error = error.with_source(RateLimits::new(vec![hit]));
    match hit.reset {
        Some(reset) => error.with_retry_after(reset),
        None => error,
    }
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
        "content_policy_violation"
        | "content_filter"
        | "moderation_blocked"
        | "invalid_prompt"
        | "image_content_policy_violation" => ErrorKind::ContentRefused,
        "model_not_found" => ErrorKind::NotFound,
        "permission_error" | "insufficient_permissions" => ErrorKind::PermissionDenied,
        "rate_limit_exceeded" | "rate_limit_error" | "rate_limit_reached" => ErrorKind::RateLimited,
        "overloaded_error"
        | "server_overloaded"
        | "engine_overloaded"
        | "server_is_overloaded"
        | "slow_down" => ErrorKind::Overloaded,
        "unsupported_parameter" | "unsupported_value" => ErrorKind::Unsupported,
        "image_too_large" | "image_file_too_large" => ErrorKind::TooLarge,
        _ => return None,
    })
}

/// Compatible servers often tell only in words what OpenAI has a code for.
fn of_message(message: &str) -> Option<ErrorKind> {
    let says = |words: &str| message.contains(words);
    if says("maximum context length") || says("exceeds the available context size") {
        Some(ErrorKind::ContextTooLong)
    } else if says("is overloaded") || says("currently overloaded") {
        Some(ErrorKind::Overloaded)
    } else {
        None
    }
}
