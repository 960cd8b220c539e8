use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Run, WorkerId};
use crate::{Error, ErrorKind};

/// The longest cause in bytes.
pub const MAX_CAUSE_BYTES: usize = 4_096;

/// Why a run failed, as people read it. A longer text is cut to [`MAX_CAUSE_BYTES`]; characters that no text holds in
/// every store are left out.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Cause(String);

impl Cause {
    /// A cause.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.retain(|letter| letter != '\0');
        text.truncate(text.floor_char_boundary(MAX_CAUSE_BYTES));
        Self(text)
    }

    /// The cause of a run whose worker said nothing more: it died, was frozen, or could not reach the store.
    pub fn lost(worker: WorkerId) -> Self {
        Self(format!("lost: worker {worker} did not report"))
    }

    /// The cause as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.0
    }
}

impl From<&Error> for Cause {
    fn from(error: &Error) -> Self {
        Self::new(error.to_string())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finish {
    /// The run.
    pub run: Run,
    /// How it ended.
    pub outcome: RunOutcome,
}

impl Finish {
    /// The job is done. The result is kept for a job with an idempotency key.
    pub fn completed(run: Run, result: impl Into<Bytes>) -> Self {
        Self { run, outcome: RunOutcome::Completed(result.into()) }
    }

    /// The attempt failed; the next one, if there is one, is after a wait.
    pub fn retry(run: Run, cause: Cause, after: Duration) -> Self {
        Self { run, outcome: RunOutcome::Retry { cause, after } }
    }

    /// The attempt failed, and another one would.
    pub fn dead(run: Run, cause: Cause) -> Self {
        Self { run, outcome: RunOutcome::Dead(cause) }
    }

    /// The job is to be taken up again after a wait. No attempt is used.
    pub fn snooze(run: Run, after: Duration) -> Self {
        Self { run, outcome: RunOutcome::Snooze(after) }
    }

    /// Gives back what was claimed and not begun. No attempt is used.
    pub fn release(run: Run) -> Self {
        Self::snooze(run, Duration::ZERO)
    }

    /// The job was cancelled.
    pub fn cancelled(run: Run) -> Self {
        Self { run, outcome: RunOutcome::Cancelled }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunOutcome {
    /// With this result.
    Completed(Bytes),
    /// It failed.
    Retry {
        /// Why.
        cause: Cause,
        /// The wait before the next attempt.
        after: Duration,
    },
    /// It goes on later.
    Snooze(Duration),
    /// It failed for ever.
    Dead(Cause),
    /// It was cancelled.
    Cancelled,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobOutcome {
    /// It was done, with this result.
    Completed(Bytes),
    /// It is a dead letter.
    Dead(Cause),
    /// It was cancelled.
    Cancelled,
}

/// The error of whoever speaks of a run that is not under way.
pub fn fenced(operation: &'static str, run: Run) -> Error {
    Error::new(ErrorKind::Fenced, operation)
        .with_context("job", run.id)
        .with_context("epoch", format!("{}.{}", run.epoch.incarnation, run.epoch.counter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_cut_between_characters() {
        let cause = Cause::new(format!("\0a{}", "é".repeat(MAX_CAUSE_BYTES)));
        assert_eq!(cause.as_str().len(), MAX_CAUSE_BYTES - 1);
        assert!(cause.as_str().starts_with("aéé"));
    }
}
