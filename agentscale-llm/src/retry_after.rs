//! What a server says about sending a request again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentscale_core::{Error, ErrorKind, Retry};

/// The headers `x-should-retry`, `retry-after-ms` and `retry-after`, in the meaning that OpenAI's and Anthropic's own
/// clients give them. How long a wait is honoured is the retry layer's matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryHint {
    should_retry: Option<bool>,
    after: Option<Duration>,
}

impl RetryHint {
    pub(crate) fn read<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Self {
        let should_retry = match header("x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let millis = header("retry-after-ms").and_then(|value| positive(value, 1_000.0));
        let after = millis.or_else(|| header("retry-after").and_then(|value| retry_after(value, now)));
        Self { should_retry, after }
    }

    /// A used-up quota is not retried whatever the server says: more requests do not fill it.
    pub(crate) fn apply(self, error: Error) -> Error {
        if error.kind() == ErrorKind::QuotaExceeded || self.should_retry == Some(false) {
            return error.with_retry(Retry::Never);
        }
        if self.should_retry != Some(true) && error.retry() != Retry::Later {
            return error;
        }
        match self.after {
            Some(after) => error.with_retry_after(after),
            None => error.with_retry(Retry::Later),
        }
    }
}

/// Seconds or a date; `None` for what is past, negative or neither.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let until = |date: SystemTime| date.duration_since(now).ok().filter(|wait| !wait.is_zero());
    positive(value, 1.0).or_else(|| parse_http_date(value).and_then(until))
}

fn positive(value: &str, per_second: f64) -> Option<Duration> {
    let number: f64 = value.trim().parse().ok()?;
    let seconds = number / per_second;
    (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

/// The one date format that RFC 9110 lets servers send: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn parse_http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.trim().split_once(", ")?;
    let mut parts = date.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let in_range =
        (1..=31).contains(&day) && (1970..=9999).contains(&year) && hour < 24 && minute < 60 && second < 61;
    if !in_range || parts.next() != Some("GMT") {
        return None;
    }
    let seconds = days_from_epoch(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Howard Hinnant's `days_from_civil`, <https://howardhinnant.github.io/date_algorithms.html>, for years from 1970.
fn days_from_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn after(headers: &[(&str, &str)]) -> Option<Duration> {
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        RetryHint::read(header, parse_http_date(NOW).unwrap()).after
    }

    #[test]
    fn dates_are_read() {
        let seconds =
            |text| parse_http_date(text).map(|date| date.duration_since(UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(seconds(NOW), Some(784_111_777));
        assert_eq!(seconds("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        for wrong in
            ["", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1969 08:49:37 GMT"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_finest_wait_wins_and_nonsense_is_none() {
        let day = Duration::from_secs(86_400);
        for (headers, expected) in [
            (vec![("retry-after-ms", "1500"), ("retry-after", "9")], Some(Duration::from_millis(1_500))),
            (vec![("retry-after", "0.25")], Some(Duration::from_millis(250))),
            (vec![("retry-after", "31536000")], Some(365 * day)),
            (vec![("retry-after", "Mon, 07 Nov 1994 08:49:37 GMT")], Some(day)),
            (vec![("retry-after", "Sat, 05 Nov 1994 08:49:37 GMT")], None),
            (vec![("retry-after", "-5")], None),
            (vec![("retry-after", "NaN")], None),
            (vec![("retry-after", "1e300")], None),
            (vec![("retry-after", "soon")], None),
        ] {
            assert_eq!(after(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_servers_word_decides_but_not_over_a_quota() {
        let hint = |word| RetryHint::read(|name| (name == "x-should-retry").then_some(word), UNIX_EPOCH);
        let retry = |kind, word| hint(word).apply(Error::new(kind, "test")).retry();
        assert_eq!(retry(ErrorKind::RateLimited, "false"), Retry::Never);
        assert_eq!(retry(ErrorKind::InvalidInput, "true"), Retry::Later);
        assert_eq!(retry(ErrorKind::QuotaExceeded, "true"), Retry::Never);
        assert_eq!(retry(ErrorKind::Unavailable, ""), Retry::Later);
    }
}
