//! How far this node has followed the changes that Redis counts.
//!
//! Redis gives each change the next number. A node that has received all messages up to a number knows every change
//! until then; it asks Redis now and then for the last number, at a time `at`: once it has followed so far, all that
//! changed until `at` was received. A number that does not come is a message that was lost. What was taken before is then
//! of an older session, and is compared with Redis before it is given again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentscale_core::time::Monotonic;

/// Numbers that came before one that is missing, at most.
const AHEAD: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Link {
    /// 0 before the first one.
    session: AtomicU64,
    /// Up to when all changes are known, in nanoseconds.
    known_until: AtomicU64,
    /// The highest number that was heard of.
    highest: AtomicU64,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// All messages up to this one were received; `None` while nothing is subscribed to.
    upto: Option<u64>,
    ahead: BTreeSet<u64>,
    /// When Redis was asked, and the number that it told, which was not yet received.
    expected: Option<(Monotonic, u64)>,
}

/// What an answer of Redis means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// All is received, or may still come.
    Fine,
    /// A message was lost.
    Lost,
    /// Redis counts from before: it was emptied, or restored.
    Back,
}

impl Link {
    pub(super) fn session(&self) -> u64 {
        self.session.load(Ordering::Acquire)
    }

    /// Messages come from now on; `last` is what Redis said after that, asked at `at`.
    pub(super) fn begin(&self, at: Monotonic, last: u64) -> Said {
        let mut progress = self.progress();
        let highest = self.highest.swap(last, Ordering::AcqRel);
        *progress = Progress { upto: Some(last), ..Progress::default() };
        self.next_session(at);
        if last < highest { Said::Back } else { Said::Fine }
    }

    /// No messages come any more.
    pub(super) fn end(&self) {
        *self.progress() = Progress::default();
    }

    /// The last number that was received, to be read before Redis is asked.
    pub(super) fn upto(&self) -> Option<u64> {
        self.progress().upto
    }

    /// Changes of these numbers were received.
    pub(super) fn received(&self, first: u64, count: u64) {
        let mut progress = self.progress();
        let Some(mut upto) = progress.upto else { return };
        let last = first.saturating_add(count.saturating_sub(1));
        if first > upto.saturating_add(1) {
            // Beyond the bound it is as if they were lost.
            if progress.ahead.len() < AHEAD {
                progress.ahead.extend(first..=last.min(first.saturating_add(AHEAD as u64)));
            }
            return;
        }
        upto = upto.max(last);
        self.highest.fetch_max(upto, Ordering::AcqRel);
        while let Some(next) = progress.ahead.first().copied().filter(|next| *next <= upto.saturating_add(1))
        {
            progress.ahead.pop_first();
            upto = upto.max(next);
        }
        progress.upto = Some(upto);
        if let Some((at, expected)) = progress.expected
            && expected <= upto
        {
            progress.expected = None;
            self.known_until.fetch_max(at.as_nanos(), Ordering::AcqRel);
        }
    }

    /// Redis, asked at `at` when `before` was received, said that `last` is the last number.
    pub(super) fn said(&self, at: Monotonic, before: Option<u64>, last: u64) -> Said {
        let mut progress = self.progress();
        let (Some(upto), Some(before)) = (progress.upto, before) else { return Said::Fine };
        if last < before {
            *progress = Progress { upto: Some(last), ..Progress::default() };
            self.highest.store(last, Ordering::Release);
            self.next_session(at);
            return Said::Back;
        }
        self.highest.fetch_max(last, Ordering::AcqRel);
        if last <= upto {
            progress.expected = None;
            self.known_until.fetch_max(at.as_nanos(), Ordering::AcqRel);
            return Said::Fine;
        }
        match progress.expected {
            // It had the time between two questions to come.
            Some((_, expected)) if expected > upto => {
                *progress = Progress { upto: Some(last), ..Progress::default() };
                self.next_session(at);
                Said::Lost
            }
            _ => {
                progress.expected = Some((at, last));
                Said::Fine
            }
        }
    }

    /// Up to when all changes are known to whatever was taken in this session.
    pub(super) fn known_until(&self, session: u64) -> Option<Monotonic> {
        let until = self.known_until.load(Ordering::Acquire);
        (session != 0 && session == self.session()).then_some(Monotonic::from_nanos(until))
    }

    pub(super) fn is_fresh(&self, session: u64, now: Monotonic, at_most: Duration) -> bool {
        self.known_until(session).is_some_and(|until| now.since(until) <= at_most)
    }

    fn next_session(&self, at: Monotonic) {
        // In this order: whoever reads the new time with the old session sees that the session is over.
        self.session.fetch_add(1, Ordering::AcqRel);
        self.known_until.fetch_max(at.as_nanos(), Ordering::AcqRel);
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
