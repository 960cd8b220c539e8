//! Which checkpoints a policy lets go, and when an outcome ends: the same for every store.

use agentscale_core::checkpoint::{RecordedOutcome, RetentionPolicy, Version};

/// A thread is left alone until it has grown by this many checkpoints, whatever the policy.
const LEAST_GROWTH: u32 = 64;

/// Whether a thread that has come to this version is to be pruned unasked: whenever it has grown by as
/// many checkpoints as the policy keeps. The version says so, so that nobody needs to count.
pub(crate) fn is_due(policy: &RetentionPolicy, version: Version) -> bool {
    version.0.is_multiple_of(u64::from(policy.keep_last.max(LEAST_GROWTH)))
}

/// A checkpoint as retention sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    version: Version,
    at: u64,
    tagged: bool,
}

impl Candidate {
    /// A checkpoint written `at`, in microseconds since the Unix epoch.
    pub(crate) fn new(version: Version, at: u64, tagged: bool) -> Self {
        Self { version, at, tagged }
    }
}

/// The versions that leave, oldest first, out of all of a thread, newest first.
pub(crate) fn leaving(
    newest_first: impl Iterator<Item = Candidate>,
    policy: &RetentionPolicy,
    now: u64,
) -> Vec<Version> {
    let too_old =
        |at: u64| policy.max_age.is_some_and(|most| u128::from(now.saturating_sub(at)) > most.as_micros());
    let stays = |place: usize, candidate: &Candidate| {
        place == 0
            || (policy.keep_tagged && candidate.tagged)
            || (place < policy.keep_last as usize && !too_old(candidate.at))
    };
    let mut gone: Vec<_> = newest_first
        .enumerate()
        .filter(|(place, candidate)| !stays(*place, candidate))
        .map(|(_, candidate)| candidate.version)
        .collect();
    gone.reverse();
    gone
}

/// When an outcome recorded `now` ends, in microseconds since the Unix epoch.
pub(crate) fn expires(outcome: &RecordedOutcome, now: u64) -> u64 {
    now.saturating_add(u64::try_from(outcome.retention.as_micros()).unwrap_or(u64::MAX))
}
