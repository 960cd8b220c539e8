use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::time::Monotonic;

/// A bucket that fills all the time, from which amounts are taken before they are known and settled when they are.
///
/// It holds one word: the moment at which it is full again (the generic cell rate algorithm's theoretical arrival
/// time). What is settled above what was taken makes that moment later than an empty bucket's: the debt is paid by
/// waiting, never forgiven.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Nanoseconds of the clock.
    full_at: AtomicU64,
    capacity: u64,
    /// How long one unit takes to flow in, in 2^-`FRACTION` nanoseconds.
    per_unit: u64,
}

/// Bits behind the point of a unit's time: a rate of 10^10 a minute is still exact to a thousandth.
const FRACTION: u32 = 16;

/// One part in so many of a minute's worth stays unused: calls that left one after the other arrive together where the
/// network delays the first, by up to 300 ms.
const HEADROOM: u64 = 200;

const MINUTE_NANOS: u64 = 60_000_000_000;

impl Bucket {
    /// A full bucket that fills at `per_minute`, of which it holds a minute's worth but for [`HEADROOM`]. Zero lets
    /// nothing through.
    pub(crate) fn per_minute(per_minute: u64) -> Self {
        let per_unit = match per_minute {
            0 => u64::MAX,
            rate => u64::try_from((u128::from(MINUTE_NANOS) << FRACTION).div_ceil(u128::from(rate)))
                .unwrap_or(u64::MAX),
        };
        let capacity = per_minute - per_minute / HEADROOM;
        Self { full_at: AtomicU64::new(0), capacity, per_unit }
    }

    /// The most that it holds.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Takes `amount`, at most all that a full bucket holds, and gives what was taken; or the time until it is there.
    pub(crate) fn take(&self, amount: u64, now: Monotonic) -> Result<u64, Duration> {
        let amount = amount.min(self.capacity);
        if self.capacity == 0 {
            return Err(Duration::MAX);
        }
        let (cost, now) = (self.time_of(amount), now.as_nanos());
        let latest = now.saturating_add(self.time_of(self.capacity));
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let next = full_at.max(now).saturating_add(cost);
            if next > latest {
                return Err(Duration::from_nanos(next - latest));
            }
            match self.full_at.compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(amount),
                Err(seen) => full_at = seen,
            }
        }
    }

    /// Replaces the `taken` amount by the `used` one: the rest flows back, what is missing becomes debt.
    pub(crate) fn settle(&self, taken: u64, used: u64, now: Monotonic) {
        if used > taken {
            let cost = self.time_of(used - taken);
            self.change(|full_at| full_at.max(now.as_nanos()).saturating_add(cost));
        } else if used < taken {
            let back = self.time_of(taken - used);
            self.change(|full_at| full_at.saturating_sub(back));
        }
    }

    /// Lowers what it holds to `remaining`. It never raises it.
    pub(crate) fn lower(&self, remaining: u64, now: Monotonic) {
        let missing = self.capacity.saturating_sub(remaining);
        self.full_at.fetch_max(now.as_nanos().saturating_add(self.time_of(missing)), Ordering::Relaxed);
    }

    /// Holds no more than those `before` together, whose place it takes, and owes what they owed; of several, what was used
    /// of each was used of it.
    pub(crate) fn follow<'a>(&self, before: impl Iterator<Item = &'a Self>, now: Monotonic) {
        let (mut count, mut levels, mut used) = (0, 0, 0);
        for bucket in before {
            let level = i128::from(bucket.level(now));
            (count, levels, used) = (count + 1, levels + level, used + i128::from(bucket.capacity) - level);
        }
        let capacity = i128::from(self.capacity);
        let level = match count {
            0 => return,
            1 => levels,
            _ => levels.min(capacity - used),
        };
        let missing = u64::try_from(capacity - level).unwrap_or(0);
        self.full_at.fetch_max(now.as_nanos().saturating_add(self.time_of(missing)), Ordering::Relaxed);
    }

    /// The share of its capacity that it holds, 0 to 1.
    pub(crate) fn share(&self, now: Monotonic) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
        let share = self.level(now).max(0) as f64 / self.capacity.max(1) as f64;
        share
    }

    /// What it holds, in whole units: below zero by its debt.
    pub(crate) fn level(&self, now: Monotonic) -> i64 {
        let until_full = self.full_at.load(Ordering::Relaxed).saturating_sub(now.as_nanos());
        // A unit that has not flowed in yet is none: whoever follows would hold more.
        let missing = (u128::from(until_full) << FRACTION).div_ceil(u128::from(self.per_unit));
        let level = i128::from(self.capacity) - i128::try_from(missing).unwrap_or(i128::MAX);
        i64::try_from(level).unwrap_or(i64::MIN)
    }

    fn time_of(&self, amount: u64) -> u64 {
        let nanos = (u128::from(amount) * u128::from(self.per_unit)) >> FRACTION;
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    fn change(&self, next: impl Fn(u64) -> u64) {
        let changed = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| Some(next(at)));
        debug_assert!(changed.is_ok(), "a change is never refused");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> Monotonic {
        Monotonic::ZERO + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn it_starts_full_and_fills_by_the_minute() {
        let bucket = Bucket::per_minute(600);
        assert_eq!((bucket.level(at(0.0)), bucket.take(600, at(0.0))), (597, Ok(597)));
        let wait = bucket.take(10, at(0.0)).unwrap_err();
        assert!((wait.as_secs_f64() - 1.0).abs() < 1e-6, "{wait:?}");
        assert_eq!(bucket.take(10, at(1.0)), Ok(10));
        assert_eq!(bucket.level(at(90.0)), 597, "it holds no more than a minute's worth");
    }

    #[test]
    fn what_was_not_used_flows_back_and_debt_is_paid() {
        let bucket = Bucket::per_minute(600);
        bucket.take(597, at(0.0)).unwrap();
        bucket.settle(597, 97, at(0.0));
        assert_eq!(bucket.level(at(0.0)), 500);
        bucket.settle(500, 1_700, at(0.0));
        assert_eq!(bucket.level(at(0.0)), -700);
        let wait = bucket.take(1, at(0.0)).unwrap_err();
        assert!((wait.as_secs_f64() - 70.1).abs() < 1e-3, "{wait:?}");
    }

    #[test]
    fn the_provider_only_lowers_it() {
        let bucket = Bucket::per_minute(600);
        bucket.lower(1_000, at(0.0));
        assert_eq!(bucket.level(at(0.0)), 597);
        bucket.lower(50, at(0.0));
        bucket.lower(300, at(0.0));
        assert_eq!(bucket.level(at(0.0)), 50);
    }

    #[test]
    fn what_follows_holds_no_part_of_a_unit_more() {
        let before = Bucket::per_minute(4);
        before.take(3, at(0.0)).unwrap();
        let after = Bucket::per_minute(5);
        after.follow([&before].into_iter(), at(3.0));
        assert_eq!((before.level(at(3.0)), after.level(at(3.0))), (1, 1));
        assert_eq!(after.take(1, at(3.0)), Ok(1));
        assert!(after.take(1, at(3.0)).is_err(), "a reload gave a request away");
    }

    #[test]
    fn what_follows_several_has_used_what_they_have() {
        let spent = |amount| {
            let bucket = Bucket::per_minute(100);
            bucket.settle(0, amount, at(0.0));
            bucket
        };
        for (rate, levels) in [(100, -20), (200, 79), (1_000, 80)] {
            let after = Bucket::per_minute(rate);
            after.follow([spent(60), spent(60)].iter(), at(0.0));
            assert_eq!(after.level(at(0.0)), levels, "{rate}");
        }
        let after = Bucket::per_minute(100);
        after.follow([spent(500), spent(0)].iter(), at(0.0));
        assert_eq!(after.level(at(0.0)), -400, "debt is carried");
    }

    #[test]
    fn more_than_it_holds_takes_all_of_it_and_zero_lets_nothing_through() {
        let bucket = Bucket::per_minute(600);
        assert_eq!(bucket.take(10_000, at(0.0)), Ok(597));
        let closed = Bucket::per_minute(0);
        assert_eq!(closed.take(0, at(1.0)), Err(Duration::MAX));
        assert_eq!(closed.level(at(1.0)), 0);
    }

    proptest! {
        #[test]
        fn what_it_gives_is_bounded_by_a_minutes_worth_and_the_rate(
            rate in 1_u64..100_000_000,
            steps in proptest::collection::vec((0_u64..5_000, 0_u64..2_000_000, 0.0_f64..2.0), 1..200),
        ) {
            let bucket = Bucket::per_minute(rate);
            let (mut millis, mut given) = (0, 0_u128);
            for (pause, amount, used) in steps {
                millis += pause;
                let now = Monotonic::ZERO + Duration::from_millis(millis);
                if let Ok(taken) = bucket.take(amount, now) {
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                             reason = "a share of a small amount")]
                    let used = (taken as f64 * used.min(1.0)) as u64;
                    bucket.settle(taken, used, now);
                    given += u128::from(used);
                }
                let most = u128::from(rate) + u128::from(rate) * u128::from(millis) / 60_000 + 1;
                prop_assert!(given <= most, "{given} of {most}");
            }
        }
    }
}
