use std::time::Duration;

use agentscale_core::llm::{LimitedUnit, RateLimit, RateLimits};

use super::parse_go_duration;

/// OpenAI's headers `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, which many servers send.
///
/// A header is read by its name in lower case. A limit that is zero or negative, as Azure sends it, is unknown, and so
/// is what is left of it. Resets are Go durations; a bare number is in seconds. The headers do not say in which time a
/// limit counts.
///
/// ```
/// use std::time::Duration;
/// use agentscale_core::llm::LimitedUnit;
/// use agentscale_llm::headers::openai_rate_limits;
///
/// let limits = openai_rate_limits(|name| match name {
///     "x-ratelimit-limit-tokens" => Some("30000"),
///     "x-ratelimit-remaining-tokens" => Some("250"),
///     "x-ratelimit-reset-tokens" => Some("1m0.5s"),
///     _ => None,
/// });
/// let tokens = limits.get(LimitedUnit::Tokens).unwrap();
/// assert_eq!((tokens.limit, tokens.remaining), (Some(30_000), Some(250)));
/// assert_eq!(tokens.reset, Some(Duration::from_millis(60_500)));
/// ```
pub fn openai_rate_limits<'a>(header: impl Fn(&str) -> Option<&'a str>) -> RateLimits {
    let requests = read(
        LimitedUnit::Requests,
        [
            header("x-ratelimit-limit-requests"),
            header("x-ratelimit-remaining-requests"),
            header("x-ratelimit-reset-requests"),
        ],
    );
    let tokens = read(
        LimitedUnit::Tokens,
        [
            header("x-ratelimit-limit-tokens"),
            header("x-ratelimit-remaining-tokens"),
            header("x-ratelimit-reset-tokens"),
        ],
    );
    RateLimits::new(requests.into_iter().chain(tokens).collect())
}

fn read(unit: LimitedUnit, [limit, remaining, reset]: [Option<&str>; 3]) -> Option<RateLimit> {
    let count = |text: Option<&str>| text.and_then(|text| text.trim().parse::<u64>().ok());
    let mut read = RateLimit::new(unit);
    read.limit = count(limit).filter(|limit| *limit > 0);
    read.remaining = count(remaining).filter(|_| limit.is_none() || read.limit.is_some());
    read.reset = reset.and_then(|text| parse_go_duration(text).or_else(|| seconds(text)));
    (read.limit.is_some() || read.remaining.is_some()).then_some(read)
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (LimitedUnit, Option<u64>, Option<u64>, Option<u64>);

    fn limits(headers: &[(&str, &str)]) -> Vec<Told> {
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        let told = openai_rate_limits(header).limits;
        let millis = |limit: &RateLimit| limit.reset.map(|reset| reset.as_millis() as u64);
        told.iter().map(|limit| (limit.unit, limit.limit, limit.remaining, millis(limit))).collect()
    }

    #[test]
    fn both_limits_are_read() {
        let told = limits(&[
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-requests", "8.64s"),
            ("x-ratelimit-limit-tokens", "200000"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        let expected = [
            (LimitedUnit::Requests, Some(10_000), Some(9_999), Some(8_640)),
            (LimitedUnit::Tokens, Some(200_000), Some(0), Some(360_000)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_azure_does_not_know_is_unknown() {
        let requests = |limit, remaining| {
            limits(&[("x-ratelimit-limit-requests", limit), ("x-ratelimit-remaining-requests", remaining)])
        };
        assert_eq!(requests("-1", "-1"), []);
        assert_eq!(requests("-1", "0"), []);
        assert_eq!(requests("0", "0"), []);
        assert_eq!(requests("60", "-1"), [(LimitedUnit::Requests, Some(60), None, None)]);
    }

    #[test]
    fn a_reset_in_seconds_is_read_and_nonsense_is_none() {
        let reset =
            |text| limits(&[("x-ratelimit-remaining-tokens", "7"), ("x-ratelimit-reset-tokens", text)]);
        for (text, millis) in
            [("60", Some(60_000)), ("-1", None), ("NaN", None), ("1e300", None), ("soon", None)]
        {
            assert_eq!(reset(text), [(LimitedUnit::Tokens, None, Some(7), millis)], "{text}");
        }
    }
}
