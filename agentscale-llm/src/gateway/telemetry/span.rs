//! Spans, with the names of the conventions: one for a call with all its attempts, and within it one for each attempt.
//!
//! No text of a prompt or an answer and no key stands in them. Where nobody listens a span costs one atomic read.

use std::time::Duration;

use agentscale_core::Error;
use agentscale_core::llm::Usage;
use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use super::Operation;

/// `{gen_ai.operation.name} {gen_ai.request.model}`, from entering the gateway to the last part of the answer.
pub(crate) fn of_call(operation: Operation, model: &str, is_streamed: bool, max_tokens: Option<u32>) -> Span {
    info_span!(
        "gen_ai.client.inference",
        otel.name = %format_args!("{} {model}", operation.as_str()),
        otel.kind = "client",
        gen_ai.operation.name = operation.as_str(),
        gen_ai.request.model = model,
        gen_ai.request.stream = is_streamed,
        gen_ai.request.max_tokens = max_tokens,
        gen_ai.provider.name = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_write.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        error.type = Empty,
    )
}

/// One time that a call is sent, to a pool and under the name that its model has there.
pub(crate) fn of_attempt(call: &Span, number: u32, pool: &str, model: &str) -> Span {
    info_span!(
        parent: call,
        "agentscale.gateway.attempt",
        agentscale.gateway.attempt = number,
        gen_ai.provider.name = pool,
        gen_ai.request.model = model,
        error.type = Empty,
    )
}

pub(crate) fn record_first_chunk(call: &Span, after: Duration) {
    call.record("gen_ai.response.time_to_first_chunk", after.as_secs_f64());
}

/// The pool and the model that answered, and what that took.
pub(crate) fn record_answer(call: &Span, pool: &str, model: &str, usage: Usage) {
    call.record("gen_ai.provider.name", pool);
    call.record("gen_ai.response.model", model);
    for (name, tokens) in [
        ("gen_ai.usage.input_tokens", usage.input_tokens),
        ("gen_ai.usage.cache_read.input_tokens", usage.cached_input_tokens),
        ("gen_ai.usage.cache_write.input_tokens", usage.cache_write_input_tokens),
        ("gen_ai.usage.output_tokens", usage.output_tokens),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens),
    ] {
        call.record(name, tokens);
    }
}

/// How a call or an attempt failed.
pub(crate) fn record_error(span: &Span, error: &Error) {
    span.record("error.type", display(error.kind()));
}
