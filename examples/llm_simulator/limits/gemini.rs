//! Requests and input tokens of a minute and requests of a day, in windows that start anew. There are no headers: the
//! body says which quota was hit and how long to wait.

use std::time::Duration;

use serde_json::{Value, json};

use super::window::Window;
use super::{Account, Load};
use crate::refusal::Refusal;
use crate::script::GeminiLimits;

#[derive(Debug)]
pub(super) struct State {
    requests: Window,
    input: Window,
    day: Window,
}

impl State {
    pub(super) fn new(limits: &GeminiLimits, minute: Duration, day: Duration) -> Self {
        Self {
            requests: Window::new(limits.requests_per_minute, minute),
            input: Window::new(limits.input_tokens_per_minute, minute),
            day: Window::new(limits.requests_per_day, day),
        }
    }

    pub(super) fn admit(&mut self, account: &Account, load: Load, now: Duration) -> Result<(), Box<Refusal>> {
        let mut violations = Vec::new();
        let mut wait = Duration::ZERO;
        let quotas = [
            (&mut self.requests, 1, "requests", "GenerateRequestsPerMinutePerProjectPerModel"),
            (&mut self.input, load.input, "input_token_count", "GenerateContentInputTokensPerModelPerMinute"),
            (&mut self.day, 1, "requests", "GenerateRequestsPerDayPerProjectPerModel"),
        ];
        for (window, amount, metric, id) in quotas {
            if !window.has(amount, now) {
                violations.push(violation(account, window.limit(), metric, id));
                wait = wait.max(window.wait(now));
            }
        }
        if !violations.is_empty() {
            return Err(Box::new(Refusal::new(429, exhausted(&violations, wait))));
        }
        self.requests.take(1, now);
        self.input.take(load.input, now);
        self.day.take(1, now);
        Ok(())
    }
}

fn violation(account: &Account, limit: u64, metric: &str, id: &str) -> Value {
    json!({
        "quotaMetric": format!("generativelanguage.googleapis.com/generate_content_free_tier_{metric}"),
        "quotaId": format!("{id}-FreeTier"),
        "quotaDimensions": {"location": "global", "model": account.model},
        "quotaValue": limit.to_string(),
    })
}

fn exhausted(violations: &[Value], wait: Duration) -> Value {
    let text: Vec<String> = violations
        .iter()
        .map(|violation| {
            let text = |field: &str| violation[field].as_str().unwrap_or_default().to_owned();
            format!("* Quota exceeded for metric: {}, limit: {}", text("quotaMetric"), text("quotaValue"))
        })
        .collect();
    let message = format!(
        "You exceeded your current quota, please check your plan and billing details. For more information on this \
         error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. \n{}\nPlease retry in {}s.",
        text.join("\n"),
        wait.as_secs_f64(),
    );
    let link = json!({
        "description": "Learn more about Gemini API quotas",
        "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
    });
    let details = json!([
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
        {"@type": "type.googleapis.com/google.rpc.Help", "links": [link]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_delay(wait)},
    ]);
    json!({"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}})
}

/// Whole seconds, as Gemini says them, unless the simulated minute is shorter than a few of them.
pub(crate) fn retry_delay(wait: Duration) -> String {
    match wait < Duration::from_secs(2) {
        true => format!("{:.3}s", wait.as_secs_f64()),
        false => format!("{}s", wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
    }
}
