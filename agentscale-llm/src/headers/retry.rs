use std::time::{Duration, SystemTime};

use agentscale_core::{Error, ErrorKind, Retry};

use super::parse_http_date;

/// The headers `x-should-retry`, `retry-after-ms` and `retry-after`, in the meaning that OpenAI's and Anthropic's own
/// clients give them. How long a wait is honoured is the retry layer's matter.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use agentscale_core::{Error, ErrorKind};
/// use agentscale_llm::headers::RetryHint;
///
/// let hint = RetryHint::read(|name| (name == "retry-after").then_some("2"), SystemTime::UNIX_EPOCH);
/// let error = hint.apply(Error::new(ErrorKind::RateLimited, "complete"));
/// assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryHint {
    should_retry: Option<bool>,
    after: Option<Duration>,
}

impl RetryHint {
    /// Reads a header by its name in lower case; `now` is the time that a date is told from. What is past, negative or
    /// no time is passed over.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Self {
        let should_retry = match header("x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let millis = header("retry-after-ms").and_then(|value| positive(value, 1_000.0));
        let after = millis.or_else(|| header("retry-after").and_then(|value| retry_after(value, now)));
        Self { should_retry, after }
    }

    /// Says with `error` what the server said. A used-up quota is not retried whatever the server says: more requests do not fill it.
    pub fn apply(self, error: Error) -> Error {
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
    let wait = Duration::try_from_secs_f64(number / per_second).ok()?;
    // A part of a nanosecond is no time either.
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn after(headers: &[(&str, &str)]) -> Option<Duration> {
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        RetryHint::read(header, parse_http_date(NOW).unwrap()).after
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
            (vec![("retry-after", "0")], None),
            (vec![("retry-after", "3E-50")], None),
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
