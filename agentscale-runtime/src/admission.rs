//! How many turns are admitted and not finished, and the bytes of their messages, in one word.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentscale_core::{Error, ErrorKind, Result};

use crate::runtime::Shared;

const BYTES_BITS: u32 = 40;
const MAX_BYTES: u64 = (1 << BYTES_BITS) - 1;
const MAX_TURNS: u64 = (1 << (u64::BITS - BYTES_BITS)) - 1;
const ONE_TURN: u64 = 1 << BYTES_BITS;

#[derive(Debug)]
pub(crate) struct Admission {
    held: AtomicU64,
    max_turns: u64,
    max_bytes: u64,
}

impl Admission {
    /// Limits over what the word counts, 16 million turns and 1 TiB, are cut down to it.
    pub(crate) fn new(max_turns: usize, max_bytes: usize) -> Self {
        let [max_turns, max_bytes] =
            [(max_turns, MAX_TURNS), (max_bytes, MAX_BYTES)].map(|(limit, most)| most.min(limit as u64));
        Self { held: AtomicU64::new(0), max_turns, max_bytes }
    }

    /// Turns that are admitted now.
    pub(crate) fn turns(&self) -> usize {
        turns(self.held.load(Ordering::SeqCst)) as usize
    }

    fn admit(&self, bytes: u64) -> Result<()> {
        let admit = |held: u64| {
            let fits = turns(held) < self.max_turns && bytes_of(held).saturating_add(bytes) <= self.max_bytes;
            fits.then(|| held + ONE_TURN + bytes)
        };
        match self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, admit) {
            Ok(_) => Ok(()),
            Err(held) => Err(Error::new(ErrorKind::Overloaded, "admit turn")
                .with_context("turns", turns(held))
                .with_context("bytes", bytes_of(held))),
        }
    }

    /// Gives back what was admitted; `true` where nothing is left.
    fn release(&self, bytes: u64) -> bool {
        turns(self.held.fetch_sub(ONE_TURN + bytes, Ordering::SeqCst)) == 1
    }
}

fn turns(held: u64) -> u64 {
    held >> BYTES_BITS
}

fn bytes_of(held: u64) -> u64 {
    held & MAX_BYTES
}

/// The place of one turn among those that the runtime admits; dropping it gives the place back.
pub(crate) struct Admitted {
    runtime: Arc<Shared>,
    bytes: usize,
}

impl Admitted {
    pub(crate) fn take(runtime: &Arc<Shared>, bytes: usize) -> Result<Self> {
        runtime.admission.admit(bytes as u64)?;
        Ok(Self { runtime: runtime.clone(), bytes })
    }

    /// The bytes of the message.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.runtime.admission.release(self.bytes as u64) && self.runtime.is_draining() {
            self.runtime.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_bytes_are_bounded_and_come_back() {
        let admission = Admission::new(2, 100);
        admission.admit(60).unwrap();
        assert_eq!(admission.admit(41).unwrap_err().kind(), ErrorKind::Overloaded);
        admission.admit(40).unwrap();
        assert_eq!(admission.admit(0).unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(admission.turns(), 2);
        assert!(!admission.release(60));
        admission.admit(60).unwrap();
        assert!(!admission.release(60));
        assert!(admission.release(40));
    }

    #[test]
    fn limits_beyond_the_word_are_cut_down() {
        let admission = Admission::new(usize::MAX, usize::MAX);
        admission.admit(MAX_BYTES).unwrap();
        for bytes in [1, u64::MAX] {
            assert_eq!(admission.admit(bytes).unwrap_err().kind(), ErrorKind::Overloaded);
        }
        assert!(admission.release(MAX_BYTES));
    }
}
