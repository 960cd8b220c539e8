use std::time::SystemTime;

use agentscale_core::llm::{LimitWindow, LimitedUnit, RateLimit, RateLimits};

use super::parse_rfc3339;

/// The headers `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`: buckets that
/// fill all the time, each at a rate told by the minute. `now` is the time that a reset is told from.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use agentscale_core::llm::LimitedUnit;
/// use agentscale_llm::headers::anthropic_rate_limits;
///
/// let header = |name: &str| match name {
///     "anthropic-ratelimit-requests-remaining" => Some("0"),
///     "anthropic-ratelimit-requests-reset" => Some("1970-01-01T00:00:06Z"),
///     _ => None,
/// };
/// let limits = anthropic_rate_limits(header, UNIX_EPOCH);
/// let hit = limits.hit().unwrap();
/// assert_eq!((hit.unit, hit.reset), (LimitedUnit::Requests, Some(Duration::from_secs(6))));
/// ```
pub fn anthropic_rate_limits<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> RateLimits {
    let units = [
        ("requests", LimitedUnit::Requests),
        ("tokens", LimitedUnit::Tokens),
        ("input-tokens", LimitedUnit::InputTokens),
        ("output-tokens", LimitedUnit::OutputTokens),
    ];
    let limit = |(name, unit)| {
        let read = |what: &str| header(&format!("anthropic-ratelimit-{name}-{what}"));
        let number = |what| read(what).and_then(|value| value.trim().parse().ok());
        let mut limit = RateLimit::new(unit).with_window(LimitWindow::Minute);
        limit.limit = number("limit");
        limit.remaining = number("remaining");
        // A time that is past by now is no wait.
        limit.reset =
            read("reset").and_then(parse_rfc3339).map(|reset| reset.duration_since(now).unwrap_or_default());
        let told = limit.limit.is_some() || limit.remaining.is_some() || limit.reset.is_some();
        told.then_some(limit)
    };
    RateLimits::new(units.into_iter().filter_map(limit).collect())
}
