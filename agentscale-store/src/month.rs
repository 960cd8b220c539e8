use std::fmt;

const MICROS_A_DAY: u64 = 24 * 60 * 60 * 1_000_000;
/// The last month that has a name of four digits for its year.
const LAST: u32 = (9_999 - 1970) * 12 + 11;

/// A month of the calendar in UTC, counted from January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Month(u32);

impl Month {
    /// The month of a moment in microseconds since the Unix epoch; the end of the year 9999 at the latest.
    pub(crate) fn of(unix_micros: u64) -> Self {
        let day = unix_micros / MICROS_A_DAY;
        // 31 days at most, so that this is not before the month that is looked for.
        let mut month = Self(u32::try_from(day / 28).unwrap_or(u32::MAX).min(LAST));
        while month.first_day() > day {
            // A month has 30.44 days: the distance shrinks by all but a few of the months at each step.
            let too_far = (month.first_day() - day).div_ceil(31);
            month = Self(month.0.saturating_sub(u32::try_from(too_far).unwrap_or(u32::MAX)));
        }
        month
    }

    /// The month `count` months later; the end of the year 9999 at the latest.
    #[must_use]
    pub(crate) fn plus(self, count: u32) -> Self {
        Self(self.0.saturating_add(count).min(LAST))
    }

    /// The month `count` months earlier; January 1970 at the earliest.
    #[must_use]
    pub(crate) fn minus(self, count: u32) -> Self {
        Self(self.0.saturating_sub(count))
    }

    /// Days from the first of January 1970 to the first of this month.
    pub(crate) fn first_day(self) -> u64 {
        // By Howard Hinnant's `days_from_civil`, in years that begin with March.
        let (year, month) = (u64::from(1970 + self.0 / 12), u64::from(self.0 % 12));
        let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
        let day_of_year = (153 * month + 2) / 5;
        year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
    }

    /// Its first moment, in microseconds since the Unix epoch.
    pub(crate) fn start(self) -> u64 {
        self.first_day() * MICROS_A_DAY
    }
}

/// As in names of tables and files: `2026_11`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}_{:02}", 1970 + self.0 / 12, self.0 % 12 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_three_centuries_is_in_its_month() {
        let (mut month, mut day) = (0_u32, 0);
        while month < 300 * 12 {
            let (year, of_year) = (1970 + month / 12, month % 12);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days =
                [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][of_year as usize];
            assert_eq!(Month(month).first_day(), day, "{}", Month(month));
            assert_eq!(Month::of(day * MICROS_A_DAY), Month(month));
            assert_eq!(Month::of((day + days) * MICROS_A_DAY - 1), Month(month));
            (month, day) = (month + 1, day + days);
        }
        assert_eq!(Month(682).to_string(), "2026_11");
    }

    #[test]
    fn months_stay_within_the_calendar() {
        assert_eq!(Month::of(u64::MAX).to_string(), "9999_12");
        assert_eq!(Month::of(u64::MAX).plus(u32::MAX), Month::of(u64::MAX));
        assert_eq!(Month::of(0).minus(7), Month(0));
    }
}
