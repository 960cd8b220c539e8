use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::headers::days_from_epoch;

const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;

/// How long it is from `now` until the next midnight in California, where Google's days begin.
pub(super) fn until_midnight(now: SystemTime) -> Duration {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().max(DAY);
    let today = (seconds - behind_utc(seconds)) / DAY;
    // The clocks may be changed between now and then.
    let begins = (today + 1) * DAY;
    let midnight = begins + behind_utc(begins + 8 * HOUR);
    Duration::from_secs(midnight - seconds)
}

/// Seconds that Californian clocks are behind UTC: an hour less from 10:00 UTC on the second Sunday of March to 9:00
/// UTC on the first one of November.
fn behind_utc(seconds: u64) -> u64 {
    let year = 1970 + seconds / DAY * 400 / 146_097;
    let sunday = |month, nth: u64| {
        let first = days_from_epoch(year, month, 1).unwrap_or(0);
        // The epoch began on a Thursday.
        first + (7 - (first + 4) % 7) % 7 + (nth - 1) * 7
    };
    let summer = sunday(3, 2) * DAY + 10 * HOUR..sunday(11, 1) * DAY + 9 * HOUR;
    if summer.contains(&seconds) { 7 * HOUR } else { 8 * HOUR }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::parse_rfc3339;

    #[test]
    fn midnight_is_that_of_california() {
        for (now, midnight) in [
            ("2026-01-15T12:00:00Z", "2026-01-16T08:00:00Z"),
            ("2026-01-15T07:59:59Z", "2026-01-15T08:00:00Z"),
            ("2026-01-15T08:00:00Z", "2026-01-16T08:00:00Z"),
            ("2026-07-01T06:59:59Z", "2026-07-01T07:00:00Z"),
            ("2026-07-01T12:00:00Z", "2026-07-02T07:00:00Z"),
            // The day before the clocks go forward, that day, and the day they go back.
            ("2026-03-07T20:00:00Z", "2026-03-08T08:00:00Z"),
            ("2026-03-08T09:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-11-01T08:00:00Z", "2026-11-02T08:00:00Z"),
            ("2026-12-31T23:30:00Z", "2027-01-01T08:00:00Z"),
        ] {
            let now_at = parse_rfc3339(now).unwrap();
            assert_eq!(now_at + until_midnight(now_at), parse_rfc3339(midnight).unwrap(), "{now}");
        }
        assert!(until_midnight(UNIX_EPOCH) <= Duration::from_secs(DAY));
    }
}
