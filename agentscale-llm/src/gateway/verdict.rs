use std::time::Duration;

use agentscale_core::llm::PartialAnswer;
use agentscale_core::{Error, ErrorKind};

use super::GatewayConfig;
use super::reservation::Rest;
use crate::refusal::NOT_CONNECTED;

/// What follows from a provider's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The caller's: it would be the same everywhere.
    Return,
    /// Another key may do; this one rests.
    NextKey(Rest),
    /// Another provider may do; this one has trouble.
    NextProvider,
    /// Another model may do; this one lacks something.
    NextTarget,
}

/// Judges an error by its kind.
///
/// | kind | the key | the call |
/// |---|---|---|
/// | `rate_limited` | its quota rests for what the provider says, else `cool_down_ms` | another key |
/// | `quota_exceeded`, `unauthenticated`, `permission_denied` | rests for `quarantine_ms`, or what the provider says | another key |
/// | `overloaded`, `unavailable`, `deadline_exceeded`, `corrupt`, `internal`, `circuit_open` | stays: it is the provider's trouble | another provider |
/// | `not_found`, `unsupported` | stays | another target |
/// | others | stays | ends with the error |
///
/// Of what was taken of the key's tokens all flows back where the provider [did no work](is_free), and the input stays taken
/// where it may have.
pub(crate) fn judge(error: &Error, config: &GatewayConfig) -> Verdict {
    let rest_of = |millis| error.retry_after().unwrap_or(Duration::from_millis(millis));
    match error.kind() {
        ErrorKind::RateLimited => Verdict::NextKey(Rest::OfQuota(rest_of(config.cool_down_ms))),
        ErrorKind::QuotaExceeded | ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => {
            Verdict::NextKey(Rest::OfKey(rest_of(config.quarantine_ms)))
        }
        ErrorKind::Overloaded
        | ErrorKind::Unavailable
        | ErrorKind::DeadlineExceeded
        | ErrorKind::Corrupt
        | ErrorKind::Internal
        | ErrorKind::CircuitOpen => Verdict::NextProvider,
        ErrorKind::NotFound | ErrorKind::Unsupported => Verdict::NextTarget,
        _ => Verdict::Return,
    }
}

/// Whether a provider did no work for a call that ended so, bills nothing and counts no token of it: it refused it, or never
/// got it. Where it gave up half-way, or refused the content of what it had read or written, it may have done all.
pub(crate) fn is_free(error: &Error) -> bool {
    let refused = matches!(
        error.kind(),
        ErrorKind::RateLimited
            | ErrorKind::QuotaExceeded
            | ErrorKind::Overloaded
            | ErrorKind::CircuitOpen
            | ErrorKind::Unauthenticated
            | ErrorKind::PermissionDenied
            | ErrorKind::NotFound
            | ErrorKind::Unsupported
            | ErrorKind::InvalidInput
            | ErrorKind::ContextTooLong
            | ErrorKind::BudgetExceeded
    );
    let began = PartialAnswer::of(error).is_some();
    (refused && !began) || error.context("reason") == Some(NOT_CONNECTED)
}
