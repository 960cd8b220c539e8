//! Which checkpoints of a thread a policy lets go, and which of those others are still built on.

use std::collections::BTreeSet;

use agentscale_core::checkpoint::{RetentionPolicy, Version};

use crate::retention::{Candidate, leaving};

/// A checkpoint as it is listed: id, version, base, when it was written, whether it is tagged, a ghost.
pub(crate) type Listed = (i64, i64, i64, i64, u8, u8);
/// Versions that others build on, the first and the last.
pub(crate) type Range = (i64, i64);

/// The versions that leave, oldest first, out of those of a thread, newest first.
pub(crate) fn gone(rows: &[Listed], policy: &RetentionPolicy, now: u64) -> Vec<Version> {
    let visible = rows.iter().filter(|(.., ghost)| *ghost == 0);
    let candidates = visible.map(|(_, version, _, written, tagged, _)| {
        Candidate::new(Version(version.cast_unsigned()), written.cast_unsigned(), *tagged != 0)
    });
    leaving(candidates, policy, now)
}

/// Ids of those that leave: a kept checkpoint builds on a ghost until a newer base frees it, and a fork as long as it
/// shares it.
pub(crate) fn split<T>(
    rows: &[Listed],
    shared: &[Range],
    gone: &[Version],
    id: impl Fn(i64) -> T,
    ghosts: &mut Vec<T>,
    free: &mut Vec<T>,
) {
    let gone: BTreeSet<i64> = gone.iter().map(|version| version.0.cast_signed()).collect();
    let stays = |(_, version, .., ghost): &&Listed| *ghost == 0 && !gone.contains(version);
    let built_on = rows.iter().filter(stays).map(|(_, version, base, ..)| (*base, *version));
    let needed: Vec<Range> = built_on.chain(shared.iter().copied()).collect();
    for row in rows.iter().filter(|row| !stays(row)) {
        let (row_id, version, .., ghost) = row;
        let is_needed = needed.iter().any(|(base, top)| base <= version && version <= top);
        if !is_needed {
            free.push(id(*row_id));
        } else if *ghost == 0 {
            ghosts.push(id(*row_id));
        }
    }
}
