//! Hybrid logical clock: stamps that order causally related events whatever their arrival order.
//!
//! Kulkarni et al., *Logical Physical Clocks and Consistent Snapshots in Globally Distributed
//! Databases* (2014), with time and counter in one word. `docs/decisions/0002-own-hybrid-clock.md`
//! says why this is not the `uhlc` crate.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

const COUNTER_BITS: u32 = 12;
/// The greatest time that wall clocks and other nodes move a clock to: it leaves the last 12 days of the word, in
/// the year 2112, to be counted through one stamp at a time.
const LAST_MICROS: u64 = (1 << (u64::BITS - COUNTER_BITS)) - (1 << 40);

/// A point in causal order: 52 bits of microseconds since the Unix epoch, a counter of 12 bits,
/// and the node that gave it, which breaks ties.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Stamp {
    time: u64,
    node: u64,
}

impl Stamp {
    /// The physical part: microseconds since the Unix epoch.
    pub fn unix_micros(self) -> u64 {
        self.time >> COUNTER_BITS
    }

    /// The node whose clock gave the stamp.
    pub fn node(self) -> u64 {
        self.node
    }

    /// Time and counter in one word and the node, as stored.
    pub fn to_parts(self) -> (u64, u64) {
        (self.time, self.node)
    }

    /// The reverse of [`Stamp::to_parts`].
    pub fn from_parts(time: u64, node: u64) -> Self {
        Self { time, node }
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}@{:x}", self.unix_micros(), self.time & ((1 << COUNTER_BITS) - 1), self.node)
    }
}

/// The hybrid logical clock of one node. Wall time is an argument, in microseconds since the Unix epoch.
///
/// ```
/// use agentscale_core::HybridClock;
///
/// let (here, there) = (HybridClock::new(1), HybridClock::new(2));
/// let sent = here.stamp(1_000_000);
/// there.observe(sent, 900_000).unwrap(); // the other node's wall clock is behind
/// assert!(there.stamp(900_001) > sent);
/// ```
#[derive(Debug)]
pub struct HybridClock {
    last: AtomicU64,
    node: u64,
    max_ahead_micros: u64,
    refused: AtomicU64,
}

impl HybridClock {
    /// The default of [`HybridClock::with_max_ahead`].
    pub const DEFAULT_MAX_AHEAD: Duration = Duration::from_millis(500);

    /// A clock for a node whose number no other node has.
    pub fn new(node: u64) -> Self {
        Self {
            last: AtomicU64::new(0),
            node,
            max_ahead_micros: Self::DEFAULT_MAX_AHEAD.as_micros() as u64,
            refused: AtomicU64::new(0),
        }
    }

    /// How far ahead of the wall clock an observed stamp may be.
    #[must_use]
    pub fn with_max_ahead(mut self, max_ahead: Duration) -> Self {
        self.max_ahead_micros = u64::try_from(max_ahead.as_micros()).unwrap_or(u64::MAX);
        self
    }

    /// A stamp greater than every stamp given or observed before. A wall clock beyond the year 2112 counts as one that
    /// stands there.
    pub fn stamp(&self, unix_micros: u64) -> Stamp {
        let wall = unix_micros.min(LAST_MICROS) << COUNTER_BITS;
        let before =
            self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(next(last, wall)));
        let last = before.unwrap_or_else(|last| last);
        Stamp { time: next(last, wall), node: self.node }
    }

    /// Moves the clock past a stamp that arrived.
    ///
    /// # Errors
    /// `conflict` for a stamp too far ahead of the wall clock, or so near to the last one there is that no clock could
    /// follow it: it does not move the clock, and is counted.
    pub fn observe(&self, stamp: Stamp, unix_micros: u64) -> Result<()> {
        let ahead = stamp.unix_micros().saturating_sub(unix_micros);
        if ahead > self.max_ahead_micros || stamp.unix_micros() > LAST_MICROS {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Conflict, "observe stamp").with_context("micros_ahead", ahead));
        }
        self.last.fetch_max(stamp.time, Ordering::AcqRel);
        Ok(())
    }

    /// How many observed stamps were too far ahead.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

fn next(last: u64, wall: u64) -> u64 {
    // Nothing but this sum moves a clock past `LAST_MICROS`, and 2^52 stamps fit behind that.
    wall.max(last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_rise_while_the_wall_clock_stands_or_steps_back() {
        let clock = HybridClock::new(7);
        let mut last = clock.stamp(1_000);
        for wall in [1_000, 1_000, 10, 999, 1_001] {
            let stamp = clock.stamp(wall);
            assert!(stamp > last, "{stamp:?} after {last:?}");
            last = stamp;
        }
        assert_eq!(last.unix_micros(), 1_001);
    }

    #[test]
    fn a_stamp_too_far_ahead_does_not_move_the_clock_and_is_counted() {
        let (clock, fast) = (HybridClock::new(1), HybridClock::new(2));
        let far = fast.stamp(10_000_000);
        assert_eq!(clock.observe(far, 1_000_000).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(clock.refused(), 1);
        assert!(clock.stamp(1_000_000) < far);
        clock.observe(far, 9_600_000).unwrap();
        assert!(clock.stamp(9_600_000) > far);
    }

    #[test]
    fn no_stamp_and_no_wall_clock_takes_a_clock_to_its_end() {
        let clock = HybridClock::new(1).with_max_ahead(Duration::MAX);
        for hostile in [u64::MAX, u64::MAX - 1, (LAST_MICROS + 1) << COUNTER_BITS] {
            let refused = clock.observe(Stamp::from_parts(hostile, 2), 1_000).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Conflict);
        }
        assert_eq!((clock.refused(), clock.stamp(1_000).unix_micros()), (3, 1_000));

        let far = Stamp::from_parts(LAST_MICROS << COUNTER_BITS, 2);
        clock.observe(far, 1_000).unwrap();
        let mut last = far;
        for wall in [1_000, u64::MAX, LAST_MICROS + 1, 1 << 52] {
            let stamp = clock.stamp(wall);
            assert!(stamp > last, "{stamp:?} after {last:?}");
            last = stamp;
        }
    }
}
