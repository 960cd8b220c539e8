use std::time::Duration;

use agentscale_core::llm::{Completion, FinishReason, RateLimits, Usage};
use agentscale_core::time::Monotonic;

use crate::tokens::part_bytes;

/// An answer, and what it took to get it.
#[derive(Debug)]
pub(super) struct Kept {
    completion: Completion,
    pub(super) at: Monotonic,
    pub(super) took: Duration,
}

impl Kept {
    /// `None` for what is no whole answer: cut by its length or a filter, or empty.
    pub(super) fn new(completion: &Completion, asked_at: Monotonic, at: Monotonic) -> Option<Self> {
        let is_done = matches!(completion.finish_reason, FinishReason::Stop | FinishReason::ToolCalls);
        let says_something =
            completion.message.tool_calls().next().is_some() || !completion.text().trim().is_empty();
        let took = at.since(asked_at);
        (is_done && says_something).then(|| Self { completion: completion.clone(), at, took })
    }

    /// The answer as it is given again: it costs nothing, and its limits are of another moment.
    pub(super) fn answer(&self) -> Completion {
        let mut answer = self.completion.clone();
        (answer.usage, answer.rate_limits) = (Usage::default(), RateLimits::default());
        answer
    }

    /// Whether it asks for tool calls, whose arguments follow the words of the question.
    pub(super) fn calls_tools(&self) -> bool {
        self.completion.message.tool_calls().next().is_some()
    }

    /// The bytes that it takes, roughly: its texts and a little for each part.
    pub(super) fn weight(&self) -> u32 {
        const PART: usize = 128;
        let parts = self.completion.message.content.iter().map(|part| PART + part_bytes(part));
        u32::try_from(parts.sum::<usize>() + PART).unwrap_or(u32::MAX)
    }
}
