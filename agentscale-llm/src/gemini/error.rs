//! What Gemini says in its refusals.

use std::time::SystemTime;

use agentscale_core::{Error, ErrorKind, Retry};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::refusal::{of_status, refused};
use details::Details;

mod details;
mod pacific;

pub(super) const OPERATION: &str = "call gemini";

/// `{"error": {…}}`, alone or in the list that a stream would have been.
#[cfg(feature = "gemini")]
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorFrame {
    error: Option<ErrorFields>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorFields {
    code: Option<u16>,
    message: Option<String>,
    status: Option<String>,
    details: Option<Vec<Box<RawValue>>>,
}

/// A body that tells an error, or one that should and does not: HTML of a proxy, or nothing. `now` is when it was
/// written.
#[cfg(feature = "gemini")]
pub(super) fn from_body(status: u16, body: &[u8], now: SystemTime) -> Error {
    let alone = || serde_json::from_slice::<ErrorFrame>(body).ok();
    let listed =
        || serde_json::from_slice::<Vec<ErrorFrame>>(body).ok().and_then(|list| list.into_iter().next());
    let frame = if body.trim_ascii_start().starts_with(b"[") { listed() } else { alone() };
    classify(Some(status), frame.and_then(|frame| frame.error).unwrap_or_default(), Some(now))
}

/// An error within an answer that began well.
pub(super) fn from_answer(fields: ErrorFields) -> Error {
    classify(None, fields, None).with_context("where", "within the answer")
}

fn classify(status: Option<u16>, fields: ErrorFields, now: Option<SystemTime>) -> Error {
    let status = status.or(fields.code.filter(|code| (100..1_000).contains(code)));
    let name = fields.status.unwrap_or_default();
    let message = fields.message.unwrap_or_default().to_lowercase();
    let details = Details::read(fields.details.as_deref().unwrap_or_default());
    let kind = of_status_name(&name, &message, &details);
    let kind = kind.unwrap_or_else(|| status.map_or(ErrorKind::Unavailable, of_status));
    let error = refused(OPERATION, kind, status, &[("code", &name), ("reason", &details.reason)]);
    with_limits(error, &details, now)
}

/// The names of <https://google.aip.dev/193>, as far as they say more than the status of HTTP.
fn of_status_name(name: &str, message: &str, details: &Details) -> Option<ErrorKind> {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    let is_of_key =
        details.reason.starts_with("API_KEY_") || says(&["api key not valid", "reported as leaked"]);
    Some(match name {
        "INVALID_ARGUMENT" | "PERMISSION_DENIED" | "FAILED_PRECONDITION" if is_of_key => {
            ErrorKind::Unauthenticated
        }
        "INVALID_ARGUMENT" if says(&["exceeds the maximum number of tokens", "token count exceeds"]) => {
            ErrorKind::ContextTooLong
        }
        "INVALID_ARGUMENT" if says(&["not supported", "unsupported"]) => ErrorKind::Unsupported,
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" => ErrorKind::InvalidInput,
        // A country or a project that the API is not open to.
        "FAILED_PRECONDITION" | "PERMISSION_DENIED" => ErrorKind::PermissionDenied,
        "UNAUTHENTICATED" => ErrorKind::Unauthenticated,
        "NOT_FOUND" => ErrorKind::NotFound,
        // A limit of nothing is one of the plan: waiting does not help.
        "RESOURCE_EXHAUSTED" if details.has_no_quota() => ErrorKind::QuotaExceeded,
        "RESOURCE_EXHAUSTED" => ErrorKind::RateLimited,
        "UNAVAILABLE" => ErrorKind::Overloaded,
        "DEADLINE_EXCEEDED" | "INTERNAL" | "UNKNOWN" | "ABORTED" | "CANCELLED" => ErrorKind::Unavailable,
        "UNIMPLEMENTED" => ErrorKind::Unsupported,
        _ => return None,
    })
}

/// A daily quota stays closed until midnight in California, though the answer may name a wait of seconds.
fn with_limits(error: Error, details: &Details, now: Option<SystemTime>) -> Error {
    let delay = details.retry_delay;
    let until_midnight = now.map(|now| pacific::until_midnight(now).max(delay.unwrap_or_default()));
    let limits = details.limits(until_midnight);
    let error = if limits.is_empty() { error } else { error.with_source(limits) };
    let wait = if details.is_daily() { until_midnight } else { delay };
    match wait {
        None if details.is_daily() => error.with_retry(Retry::Never),
        Some(wait) if error.retry() == Retry::Later => error.with_retry_after(wait),
        _ => error,
    }
}
