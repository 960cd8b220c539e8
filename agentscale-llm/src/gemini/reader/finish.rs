use agentscale_core::llm::{FinishReason, Usage};
use agentscale_core::{Error, ErrorKind, Result, Retry};

use crate::decode::Draft;
use crate::gemini::wire;
use crate::refusal::is_code;

/// The prompt's count has the cached tokens in it, that of the answer has not the thoughts.
pub(super) fn usage(told: &wire::Usage) -> Usage {
    let count = |count: Option<u64>| count.unwrap_or(0);
    let thoughts = count(told.thoughts_token_count);
    let input = count(told.prompt_token_count).saturating_add(count(told.tool_use_prompt_token_count));
    Usage::new(input, count(told.candidates_token_count).saturating_add(thoughts))
        .with_cached(count(told.cached_content_token_count))
        .with_reasoning(thoughts)
}

/// The reasons of <https://ai.google.dev/api/generate-content#FinishReason>. One that this version does not know ended
/// the answer as any other.
pub(super) fn end(reason: &str, draft: &mut Draft) -> Result<()> {
    match reason {
        "MAX_TOKENS" => draft.end(FinishReason::Length),
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "OTHER" => {
            draft.refuse();
            draft.end(FinishReason::ContentFilter);
        }
        // The model's own slip: the next answer may be well.
        "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" => {
            return Err(no_answer(ErrorKind::Corrupt, reason).with_retry(Retry::Later));
        }
        "MISSING_THOUGHT_SIGNATURE" => return Err(no_answer(ErrorKind::InvalidInput, reason)),
        _ if reason.starts_with("IMAGE_") || reason == "NO_IMAGE" => {
            draft.refuse();
            draft.end(FinishReason::ContentFilter);
        }
        _ => draft.end(FinishReason::Stop),
    }
    Ok(())
}

fn no_answer(kind: ErrorKind, reason: &str) -> Error {
    let error = Error::new(kind, "read completion");
    if is_code(reason) { error.with_context("reason", reason) } else { error }
}
