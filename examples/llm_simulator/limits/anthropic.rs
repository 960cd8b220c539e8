//! Requests, input tokens and output tokens, each a bucket that refills continuously. What comes from a cache is not
//! counted; output is counted as it is made, whatever `max_tokens` says.

use std::time::Duration;

use super::bucket::Bucket;
use super::{Account, Headers, Load};
use crate::clock::rfc3339;
use crate::dialect::anthropic_error;
use crate::refusal::Refusal;
use crate::script::AnthropicLimits;

#[derive(Debug)]
pub(super) struct State {
    requests: Bucket,
    input: Bucket,
    output: Bucket,
}

impl State {
    pub(super) fn new(limits: &AnthropicLimits, minute: Duration, now: Duration) -> Self {
        Self {
            requests: Bucket::new(limits.requests_per_minute, minute, now),
            input: Bucket::new(limits.input_tokens_per_minute, minute, now),
            output: Bucket::new(limits.output_tokens_per_minute, minute, now),
        }
    }

    pub(super) fn admit(
        &mut self,
        account: &Account,
        load: Load,
        now: Duration,
    ) -> (Headers, Result<(), Box<Refusal>>) {
        let input = load.input.saturating_sub(load.cached);
        let admitted = if !self.requests.has(1, now) {
            Err(refused(account, "requests", &mut self.requests, 1, now))
        } else if !self.input.has(input, now) {
            Err(refused(account, "input tokens", &mut self.input, input, now))
        } else if !self.output.has(1, now) {
            Err(refused(account, "output tokens", &mut self.output, 1, now))
        } else {
            self.requests.take(1, now);
            self.input.take(input, now);
            Ok(())
        };
        (self.headers(now), admitted.map_err(Box::new))
    }

    pub(super) fn settle(&mut self, output: u64, now: Duration) {
        self.output.take(output, now);
    }

    /// Tokens that remain are rounded to thousands; those of both kinds are their sum.
    fn headers(&mut self, now: Duration) -> Headers {
        let (input, output) = (self.input.remaining(now), self.output.remaining(now));
        let resets = (self.input.until_full(now), self.output.until_full(now));
        let reset = |wait: Duration| rfc3339(now + wait);
        vec![
            ("anthropic-ratelimit-requests-limit", self.requests.limit().to_string()),
            ("anthropic-ratelimit-requests-remaining", self.requests.remaining(now).to_string()),
            ("anthropic-ratelimit-requests-reset", reset(self.requests.until_full(now))),
            ("anthropic-ratelimit-input-tokens-limit", self.input.limit().to_string()),
            ("anthropic-ratelimit-input-tokens-remaining", thousands(input)),
            ("anthropic-ratelimit-input-tokens-reset", reset(resets.0)),
            ("anthropic-ratelimit-output-tokens-limit", self.output.limit().to_string()),
            ("anthropic-ratelimit-output-tokens-remaining", thousands(output)),
            ("anthropic-ratelimit-output-tokens-reset", reset(resets.1)),
            ("anthropic-ratelimit-tokens-limit", (self.input.limit() + self.output.limit()).to_string()),
            ("anthropic-ratelimit-tokens-remaining", thousands(input + output)),
            ("anthropic-ratelimit-tokens-reset", reset(resets.0.max(resets.1))),
        ]
    }
}

fn thousands(tokens: u64) -> String {
    ((tokens + 500) / 1_000 * 1_000).to_string()
}

fn refused(account: &Account, what: &str, bucket: &mut Bucket, amount: u64, now: Duration) -> Refusal {
    let message = format!(
        "This request would exceed your organization's rate limit of {} {what} per minute (org: {}, model: {}). For \
         details, refer to: https://docs.claude.com/en/api/rate-limits. You can see the response headers for current \
         usage. Please reduce the prompt length or the maximum tokens requested, or try again later.",
        bucket.limit(),
        account.organization,
        account.model,
    );
    let wait = bucket.wait(amount, now);
    Refusal::new(429, anthropic_error(429, &message)).with_retry_after(account.dialect, wait)
}
