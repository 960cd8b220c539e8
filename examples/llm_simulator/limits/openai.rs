//! Requests and tokens, both as buckets. Tokens are estimated when a request comes, from its characters and the longest
//! answer that it asks for, and never given back.

use std::time::Duration;

use serde_json::json;

use super::bucket::Bucket;
use super::{Account, Headers, Load};
use crate::clock::go_duration;
use crate::refusal::Refusal;
use crate::script::OpenAiLimits;

#[derive(Debug)]
pub(super) struct State {
    requests: Bucket,
    tokens: Bucket,
}

impl State {
    pub(super) fn new(limits: &OpenAiLimits, minute: Duration, now: Duration) -> Self {
        Self {
            requests: Bucket::new(limits.requests_per_minute, minute, now),
            tokens: Bucket::new(limits.tokens_per_minute, minute, now),
        }
    }

    pub(super) fn admit(
        &mut self,
        account: &Account,
        load: Load,
        now: Duration,
    ) -> (Headers, Result<(), Box<Refusal>>) {
        let tokens = load.input + load.most_output;
        let admitted = if tokens > self.tokens.limit() {
            Err(too_large(account, self.tokens.limit(), tokens))
        } else if !self.requests.has(1, now) {
            Err(refused(account, "requests", &mut self.requests, 1, now))
        } else if !self.tokens.has(tokens, now) {
            Err(refused(account, "tokens", &mut self.tokens, tokens, now))
        } else {
            self.requests.take(1, now);
            self.tokens.take(tokens, now);
            Ok(())
        };
        (self.headers(now), admitted.map_err(Box::new))
    }

    fn headers(&mut self, now: Duration) -> Headers {
        vec![
            ("x-ratelimit-limit-requests", self.requests.limit().to_string()),
            ("x-ratelimit-limit-tokens", self.tokens.limit().to_string()),
            ("x-ratelimit-remaining-requests", self.requests.remaining(now).to_string()),
            ("x-ratelimit-remaining-tokens", self.tokens.remaining(now).to_string()),
            ("x-ratelimit-reset-requests", go_duration(self.requests.until_full(now))),
            ("x-ratelimit-reset-tokens", go_duration(self.tokens.until_full(now))),
        ]
    }
}

fn refused(account: &Account, what: &str, bucket: &mut Bucket, amount: u64, now: Duration) -> Refusal {
    let wait = bucket.wait(amount, now);
    let (limit, used) = (bucket.limit(), bucket.limit() - bucket.remaining(now));
    let unit = if what == "tokens" { "TPM" } else { "RPM" };
    let message = format!(
        "Rate limit reached for {} in organization {} on {what} per min ({unit}): Limit {limit}, Used {used}, \
         Requested {amount}. Please try again in {}. Visit https://platform.openai.com/account/rate-limits to learn \
         more.",
        account.model,
        account.organization,
        go_duration(wait),
    );
    Refusal::new(429, body(&message, what)).with_retry_after(account.dialect, wait)
}

/// No wait helps, so that none is named.
fn too_large(account: &Account, limit: u64, amount: u64) -> Refusal {
    let message = format!(
        "Request too large for {} in organization {} on tokens per min (TPM): Limit {limit}, Requested {amount}. The \
         input or output tokens must be reduced in order to run successfully. Visit \
         https://platform.openai.com/account/rate-limits to learn more.",
        account.model, account.organization,
    );
    Refusal::new(429, body(&message, "tokens"))
}

fn body(message: &str, what: &str) -> serde_json::Value {
    json!({"error": {"message": message, "type": what, "param": null, "code": "rate_limit_exceeded"}})
}
