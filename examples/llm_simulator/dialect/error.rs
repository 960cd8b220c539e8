//! The errors that any request may meet, in the words of each API.

use serde_json::{Value, json};

use super::{Dialect, openai_error};
use crate::refusal::Refusal;
use crate::script::NamedError;

/// The error that a dialect sends under a status.
pub(crate) fn of_status(dialect: Dialect, status: u16) -> Refusal {
    let message = message(dialect, status);
    Refusal::new(status, body(dialect, status, message))
}

/// What an event of a stream says of an error under a status.
pub(crate) fn stream_error(dialect: Dialect, status: u16) -> Value {
    body(dialect, status, message(dialect, status))
}

/// Errors that are told apart from others of their status.
pub(crate) fn named(dialect: Dialect, error: NamedError) -> Refusal {
    let (status, body) = match (dialect, error) {
        (Dialect::Openai, error) => openai_error::named(error),
        (Dialect::Anthropic, NamedError::InvalidKey) => (401, anthropic_error(401, "invalid x-api-key")),
        (Dialect::Anthropic, NamedError::InsufficientQuota) => {
            let message = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing \
                           to upgrade or purchase credits.";
            (400, anthropic_error(400, message))
        }
        (Dialect::Anthropic, NamedError::ContextTooLong) => {
            (400, anthropic_error(400, "prompt is too long: 210000 tokens > 200000 maximum"))
        }
        (Dialect::Anthropic, NamedError::ContentRefused) => {
            (400, anthropic_error(400, "Output blocked by content filtering policy"))
        }
        (Dialect::Gemini, NamedError::InvalidKey) => (400, gemini_invalid_key()),
        (Dialect::Gemini, NamedError::InsufficientQuota) => (429, gemini_daily_quota()),
        (Dialect::Gemini, NamedError::ContextTooLong) => {
            let message =
                "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).";
            (400, gemini_error(400, message))
        }
        (Dialect::Gemini, NamedError::ContentRefused) => {
            (200, json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}}))
        }
        (Dialect::Ollama, NamedError::InvalidKey) => (401, json!({"error": "unauthorized"})),
        (Dialect::Ollama, NamedError::InsufficientQuota) => {
            (402, json!({"error": "you have reached your usage limit, upgrade to continue"}))
        }
        (Dialect::Ollama, NamedError::ContextTooLong) => {
            (400, json!({"error": "the input length exceeds the context length"}))
        }
        (Dialect::Ollama, NamedError::ContentRefused) => (403, json!({"error": "forbidden"})),
    };
    Refusal::new(status, body)
}

pub(crate) fn anthropic_error(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

pub(crate) fn gemini_error(status: u16, message: &str) -> Value {
    let name = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    json!({"error": {"code": status, "message": message, "status": name}})
}

pub(crate) fn gemini_invalid_key() -> Value {
    let mut body = gemini_error(400, "API key not valid. Please pass a valid API key.");
    body["error"]["details"] = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }]);
    body
}

fn gemini_daily_quota() -> Value {
    let message = "You exceeded your current quota, please check your plan and billing details.";
    let mut body = gemini_error(429, message);
    let violation = json!({
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "quotaValue": "20",
    });
    body["error"]["details"] =
        json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]);
    body
}

fn body(dialect: Dialect, status: u16, message: &str) -> Value {
    match dialect {
        Dialect::Openai => openai_error::of_status(status, message),
        Dialect::Anthropic => anthropic_error(status, message),
        Dialect::Gemini => gemini_error(status, message),
        Dialect::Ollama => json!({"error": message}),
    }
}

fn message(dialect: Dialect, status: u16) -> &'static str {
    match (dialect, status) {
        (Dialect::Openai, 429) => "Rate limit reached for requests",
        (Dialect::Openai, 500) => "The server had an error while processing your request. Sorry about that!",
        (Dialect::Openai, 503) => "The server is currently overloaded with other requests. Sorry about that!",
        (Dialect::Anthropic, 429) => "Number of request tokens has exceeded your per-minute rate limit",
        (Dialect::Anthropic, 500) => "Internal server error",
        (Dialect::Anthropic, 529) => "Overloaded",
        (Dialect::Gemini, 429) => "Resource has been exhausted (e.g. check quota).",
        (Dialect::Gemini, 500) => {
            "An internal error has occurred. Please retry or report in \
                                   https://developers.generativeai.google/guide/troubleshooting"
        }
        (Dialect::Gemini, 503) => "The model is overloaded. Please try again later.",
        (Dialect::Ollama, 503) => "server busy, please try again.  maximum pending requests exceeded",
        (_, 401) => "invalid key",
        (_, 403) => "permission denied",
        (_, 404) => "not found",
        (_, 413) => "request too large",
        (_, 429) => "too many requests",
        (_, 503 | 529) => "overloaded",
        (_, 504) => "timed out",
        (_, 500..) => "internal error",
        _ => "invalid request",
    }
}
