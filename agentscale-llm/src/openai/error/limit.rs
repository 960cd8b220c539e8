//! Which limit a refusal for too many requests names.

use std::time::Duration;

use agentscale_core::llm::{LimitWindow, LimitedUnit, RateLimit};

use crate::headers::parse_go_duration;

/// The limit that a message tells of, as "on tokens per min (TPM): Limit 30000, Used 29000, Requested 5000. Please try
/// again in 8s." `name` is the error's type, which OpenAI names for the unit.
pub(super) fn hit(message: &str, name: &str) -> Option<RateLimit> {
    let says = |words: &str| message.contains(words);
    let unit = if says("tokens per ") || says("token rate limit") {
        LimitedUnit::Tokens
    } else if says("requests per ") || says("call rate limit") || name == "requests" {
        LimitedUnit::Requests
    } else if name == "tokens" {
        LimitedUnit::Tokens
    } else {
        return None;
    };
    let mut hit = RateLimit::new(unit).with_remaining(0);
    hit.window = match () {
        () if says(" per day") => Some(LimitWindow::Day),
        () if says(" per min") => Some(LimitWindow::Minute),
        () => None,
    };
    hit.limit = word_behind(message, "limit ").and_then(|word| word.trim_end_matches(',').parse().ok());
    hit.reset = wait(message);
    Some(hit)
}

/// "Please try again in 7m12s." of OpenAI and Groq, "Please retry after 6 seconds." of Azure.
fn wait(message: &str) -> Option<Duration> {
    let again =
        word_behind(message, "try again in ").and_then(|word| parse_go_duration(word.trim_end_matches('.')));
    let after = || word_behind(message, "retry after ")?.parse().ok().map(Duration::from_secs);
    again.or_else(after)
}

fn word_behind<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message.split(words).skip(1).find_map(|rest| {
        rest.split_ascii_whitespace()
            .next()
            .filter(|word| word.starts_with(|first: char| first.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_from_the_message() {
        use LimitWindow::{Day, Minute};
        use LimitedUnit::{Requests, Tokens};
        for (message, name, unit, window, limit, millis) in [
            (
                "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, \
                 Requested 5000. Please try again in 8.2s. Visit https://x",
                "tokens",
                Tokens,
                Some(Minute),
                Some(30_000),
                Some(8_200),
            ),
            (
                "Rate limit reached for gpt-4 in organization org-x on requests per day (RPD): Limit 200, Used 200, \
                 Requested 1. Please try again in 7m12s.",
                "requests",
                Requests,
                Some(Day),
                Some(200),
                Some(432_000),
            ),
            (
                "Rate limit reached for model `l` in organization `o` service tier `on_demand` on tokens per day (TPD): \
                 Limit 100000, Used 99999, Requested 5000. Please try again in 1h11m59.136s.",
                "tokens",
                Tokens,
                Some(Day),
                Some(100_000),
                Some(4_319_136),
            ),
            (
                "Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current pricing \
                 tier. Please retry after 6 seconds.",
                "",
                Requests,
                None,
                None,
                Some(6_000),
            ),
            ("Rate limit reached", "requests", Requests, None, None, None),
        ] {
            let hit = hit(&message.to_lowercase(), name).unwrap();
            assert_eq!(
                (hit.unit, hit.window, hit.limit, hit.remaining),
                (unit, window, limit, Some(0)),
                "{message}"
            );
            assert_eq!(hit.reset.map(|reset| reset.as_millis()), millis, "{message}");
        }
        assert_eq!(super::hit("slow down", ""), None);
    }
}
