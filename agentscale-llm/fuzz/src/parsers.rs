use std::time::{Duration, UNIX_EPOCH};

use agentscale_core::llm::RateLimits;
use agentscale_core::{Error, ErrorKind, Retry};
use agentscale_llm::headers::{
    RetryHint, anthropic_rate_limits, openai_rate_limits, parse_go_duration, parse_http_date, parse_rfc3339,
};

/// Some time of 2025, from which dates are told.
const NOW_SECONDS: u64 = 1_760_000_000;
/// Anthropic tells of four limits, OpenAI of two.
const MOST_LIMITS: usize = 4;

/// Lines of names and values are read as headers, and each value by each parser.
pub fn headers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<_> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    let header = |name: &str| lines.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let now = UNIX_EPOCH + Duration::from_secs(NOW_SECONDS);
    check_limits(&openai_rate_limits(header));
    check_limits(&anthropic_rate_limits(header, now));
    check_hint(RetryHint::read(header, now));
    for value in lines.iter().map(|(_, value)| *value).chain([text]) {
        check_values(value);
    }
}

fn check_limits(limits: &RateLimits) {
    assert!(limits.limits.len() <= MOST_LIMITS);
    for limit in &limits.limits {
        assert!(limit.limit.is_some() || limit.remaining.is_some() || limit.reset.is_some(), "{limit:?}");
    }
}

fn check_hint(hint: RetryHint) {
    let used_up = hint.apply(Error::new(ErrorKind::QuotaExceeded, "fuzz"));
    assert_eq!((used_up.retry(), used_up.retry_after()), (Retry::Never, None));
    let limited = hint.apply(Error::new(ErrorKind::RateLimited, "fuzz"));
    assert!(limited.retry_after().is_none_or(|after| !after.is_zero() && limited.retry() == Retry::Later));
}

fn check_values(value: &str) {
    for date in [parse_http_date(value), parse_rfc3339(value)].into_iter().flatten() {
        assert!(date >= UNIX_EPOCH, "{value}");
    }
    if let Some(duration) = parse_go_duration(value) {
        assert_eq!(parse_go_duration(&format!("{}ns", duration.as_nanos())), Some(duration), "{value}");
    }
}
