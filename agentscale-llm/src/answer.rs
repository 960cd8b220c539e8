//! What the offline providers share: checking a request, and turning a text into an answer.

use agentscale_core::llm::{Completion, CompletionRequest, FinishReason, Message, Usage};
use agentscale_core::{Error, ErrorKind, Result};

use crate::tokens::{estimate_input, estimate_tokens, start_of};

pub(crate) fn check_model(asked: &str, offered: &str) -> Result<()> {
    if asked.is_empty() || asked == offered {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFound, "find model").with_context("model", asked))
}

/// An answer of `text`, cut by the request's stop texts and its longest length.
pub(crate) fn completion(request: &CompletionRequest, text: &str, model: &str) -> Completion {
    let (text, finish_reason) = cut(request, text);
    let usage = Usage::new(estimate_input(request), estimate_tokens(text));
    Completion::new(Message::assistant(text), finish_reason, usage, model)
}

fn cut<'a>(request: &CompletionRequest, text: &'a str) -> (&'a str, FinishReason) {
    let stops = request.stop.iter().filter(|stop| !stop.is_empty());
    let end = stops.filter_map(|stop| text.find(stop.as_str())).min().unwrap_or(text.len());
    let whole = &text[..end];
    let fitting = request.max_tokens.map_or(whole, |tokens| start_of(whole, tokens));
    let reason = if fitting.len() < whole.len() { FinishReason::Length } else { FinishReason::Stop };
    (fitting, reason)
}
