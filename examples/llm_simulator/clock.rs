//! The time, and how the providers write it.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Time since 1970 that never goes back.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    began_at: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let began_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_at }
    }

    pub(crate) fn now(&self) -> Duration {
        self.began_at + self.began.elapsed()
    }
}

/// `2025-11-21T15:04:05Z`; fractions of a second are rounded up, so that nobody comes too early.
pub(crate) fn rfc3339(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days from civil, http://howardhinnant.github.io/date_algorithms.html, for years behind 1970.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// As Go prints durations, in whole milliseconds: `12ms`, `1.5s`, `6m0s`, `1h2m3s`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    if millis < 1_000 {
        return if millis == 0 { "0s".to_owned() } else { format!("{millis}ms") };
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = match rest % 1_000 {
        0 => format!("{}s", rest / 1_000),
        fraction => format!("{}.{}s", rest / 1_000, format!("{fraction:03}").trim_end_matches('0')),
    };
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_providers_do() {
        for (millis, written) in [
            (0, "0s"),
            (12, "12ms"),
            (1_500, "1.5s"),
            (20_000, "20s"),
            (360_000, "6m0s"),
            (3_723_000, "1h2m3s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), written);
        }
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_763_737_445, "2025-11-21T15:04:05Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), written);
        }
        assert_eq!(rfc3339(Duration::from_millis(1)), "1970-01-01T00:00:01Z");
    }
}
