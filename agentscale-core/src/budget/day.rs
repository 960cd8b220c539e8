use std::fmt;

use serde::{Deserialize, Serialize};

pub(super) const MICROS_A_DAY: u64 = 86_400_000_000;

/// A day in UTC, as days since 1970-01-01.
///
/// ```
/// use agentscale_core::budget::Day;
///
/// assert_eq!(Day::of(1_767_225_600_000_000).to_string(), "2026-01-01");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub u32);

impl Day {
    /// The day of a moment in microseconds since the Unix epoch.
    pub fn of(unix_micros: u64) -> Self {
        Self(u32::try_from(unix_micros / MICROS_A_DAY).unwrap_or(u32::MAX))
    }

    /// Its first moment.
    pub fn start(self) -> u64 {
        u64::from(self.0) * MICROS_A_DAY
    }

    /// Year, month from 1 and day from 1: the era arithmetic of Howard Hinnant, `civil_from_days`.
    pub(super) fn civil(self) -> (u64, u64, u64) {
        let days = u64::from(self.0) + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
    }

    /// The first day of its month.
    pub(super) fn month_start(self) -> Self {
        let (_, _, day) = self.civil();
        Self(self.0.saturating_sub(u32::try_from(day - 1).unwrap_or(0)))
    }

    /// The first day of the month behind its own.
    pub(super) fn next_month(self) -> Self {
        // No month is longer than 31 days, and none shorter than 28.
        Self(self.month_start().0.saturating_add(31)).month_start()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_names_of_the_calendar() {
        for (day, name) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (20_454, "2026-01-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Day(day).to_string(), name);
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = Day(0).civil();
        for day in 1..150_000 {
            let (year, month, date) = Day(day).civil();
            let follows = (year, month, date) == (before.0, before.1, before.2 + 1)
                || (year, month, date) == (before.0, before.1 + 1, 1)
                || (year, month, date) == (before.0 + 1, 1, 1);
            assert!(follows, "{day}");
            before = (year, month, date);
            let next = Day(day).next_month();
            assert_eq!(next.civil().2, 1);
            assert!((28..=31).contains(&(next.0 - Day(day).month_start().0)));
        }
    }
}
