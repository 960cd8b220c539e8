use std::time::Duration;

use agentscale_core::llm::{LimitWindow, LimitedUnit, RateLimit, RateLimits};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the details of an error say: `ErrorInfo`, `QuotaFailure` and `RetryInfo` of google.rpc.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) reason: String,
    pub(super) retry_delay: Option<Duration>,
    violations: Vec<Violation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    reason: Option<String>,
    retry_delay: Option<String>,
    violations: Vec<Violation>,
    /// Of `ErrorInfo`: where no `QuotaFailure` comes, it names the limit.
    metadata: Option<Metadata>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    quota_limit: Option<String>,
    quota_limit_value: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Violation {
    quota_id: String,
    quota_value: Option<String>,
}

impl Details {
    /// A detail of another shape is passed over.
    pub(super) fn read(details: &[Box<RawValue>]) -> Self {
        let (mut read, mut of_reason) = (Self::default(), None);
        for detail in details.iter().filter_map(|raw| serde_json::from_str::<Detail>(raw.get()).ok()) {
            if let Some(reason) = detail.reason {
                read.reason = reason;
            }
            read.retry_delay = detail.retry_delay.as_deref().and_then(seconds).or(read.retry_delay);
            read.violations.extend(detail.violations);
            of_reason = detail.metadata.and_then(Metadata::violation).or(of_reason);
        }
        if read.violations.is_empty() {
            read.violations.extend(of_reason);
        }
        read
    }

    pub(super) fn is_daily(&self) -> bool {
        self.violations.iter().any(|violation| violation.window() == Some(LimitWindow::Day))
    }

    pub(super) fn has_no_quota(&self) -> bool {
        self.violations.iter().any(|violation| violation.quota_value.as_deref() == Some("0"))
    }

    /// The limits that were hit.
    pub(super) fn limits(&self, until_midnight: Option<Duration>) -> RateLimits {
        let limit = |violation: &Violation| {
            let mut limit = RateLimit::new(violation.unit()).with_remaining(0);
            limit.window = violation.window();
            limit.limit = violation.quota_value.as_deref().and_then(|value| value.parse().ok());
            limit.reset = match limit.window {
                Some(LimitWindow::Day) => until_midnight,
                _ => self.retry_delay,
            };
            limit
        };
        RateLimits::new(self.violations.iter().map(limit).collect())
    }
}

impl Metadata {
    fn violation(self) -> Option<Violation> {
        Some(Violation { quota_id: self.quota_limit?, quota_value: self.quota_limit_value })
    }
}

impl Violation {
    /// The ids speak: `GenerateContentInputTokensPerModelPerMinute-FreeTier`.
    fn unit(&self) -> LimitedUnit {
        match () {
            () if self.quota_id.contains("InputToken") => LimitedUnit::InputTokens,
            () if self.quota_id.contains("Token") => LimitedUnit::Tokens,
            () => LimitedUnit::Requests,
        }
    }

    fn window(&self) -> Option<LimitWindow> {
        match () {
            () if self.quota_id.contains("PerDay") => Some(LimitWindow::Day),
            () if self.quota_id.contains("PerMinute") => Some(LimitWindow::Minute),
            () => None,
        }
    }
}

/// A duration as protobuf writes it in JSON: `34.5s`.
fn seconds(text: &str) -> Option<Duration> {
    let number: f64 = text.strip_suffix('s')?.parse().ok()?;
    (number > 0.0).then(|| Duration::try_from_secs_f64(number).ok()).flatten()
}
