//! What the body and the headers of a refusal say of limits, put together.

use agentscale_core::llm::{LimitWindow, RateLimits};
use agentscale_core::{Error, Retry};

/// The limits that the body names, with what the headers say of them, and what else the headers tell.
pub(super) fn joined(body: &RateLimits, headers: &RateLimits) -> RateLimits {
    let named = body.limits.iter().map(|hit| {
        let mut joined = *hit;
        if let Some(told) = headers.get(hit.unit) {
            joined.window = hit.window.or(told.window);
            joined.limit = hit.limit.or(told.limit);
            joined.reset = hit.reset.or(told.reset);
        }
        joined
    });
    let is_named = |unit| body.limits.iter().any(|hit| hit.unit == unit);
    let others = headers.limits.iter().filter(|told| !is_named(told.unit)).copied();
    RateLimits::new(named.chain(others).collect())
}

/// A day that is used up stays so until its reset, whatever shorter wait the server names.
pub(super) fn until_reset(error: Error) -> Error {
    let hit = RateLimits::of(&error).and_then(RateLimits::hit);
    let reset = hit.filter(|hit| hit.window == Some(LimitWindow::Day)).and_then(|hit| hit.reset);
    match reset {
        Some(reset) if error.retry() == Retry::Later => {
            let wait = error.retry_after().map_or(reset, |wait| wait.max(reset));
            error.with_retry_after(wait)
        }
        _ => error,
    }
}
