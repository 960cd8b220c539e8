//! What Ollama says in its refusals.

use agentscale_core::{Error, ErrorKind};

use crate::openai::ErrorBody;
use crate::refusal::{of_status, refused};

pub(super) const OPERATION: &str = "call ollama";

/// What stands in the context of an error for a model that cannot think.
const LACKS: &str = "lacks";
const THINKING: &str = "thinking";

/// A body that tells an error, or one that should and does not: HTML of a proxy, or nothing.
#[cfg(feature = "ollama")]
pub(super) fn from_body(status: u16, body: &[u8]) -> Error {
    let line: super::wire::Line<'_> = serde_json::from_slice(body).unwrap_or_default();
    classify(Some(status), line.error.unwrap_or_default())
}

/// An error within an answer that began well.
pub(super) fn from_answer(body: ErrorBody) -> Error {
    classify(None, body).with_context("where", "within the answer")
}

/// Whether the model was asked to think and cannot.
#[cfg(feature = "ollama")]
pub(super) fn lacks_thinking(error: &Error) -> bool {
    error.context(LACKS) == Some(THINKING)
}

/// Ollama tells all in words; llama.cpp behind it names a type.
fn classify(status: Option<u16>, body: ErrorBody) -> Error {
    let (name, message) = body.into_name_and_message();
    let kind = match of_message(&name, &message.to_lowercase()) {
        Some(kind) => kind,
        // More requests wait than the server lets wait.
        None if status == Some(503) => ErrorKind::Overloaded,
        None => status.map_or(ErrorKind::Unavailable, of_status),
    };
    let error = refused(OPERATION, kind, status, &[("type", &name)]);
    match message.contains("does not support thinking") {
        true => error.with_context(LACKS, THINKING),
        false => error,
    }
}

fn of_message(name: &str, message: &str) -> Option<ErrorKind> {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if name == "exceed_context_size_error"
        || says(&[
            "exceeds the available context size",
            "exceeds the context length",
            "maximum context length",
        ])
    {
        Some(ErrorKind::ContextTooLong)
    } else if says(&["does not support"]) {
        Some(ErrorKind::Unsupported)
    } else if says(&["server busy", "maximum pending requests"]) {
        Some(ErrorKind::Overloaded)
    } else if message.starts_with("model ") && says(&["not found"]) {
        Some(ErrorKind::NotFound)
    } else {
        None
    }
}
