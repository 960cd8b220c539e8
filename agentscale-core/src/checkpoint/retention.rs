use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::AgentId;

/// Which checkpoints of a thread stay. The tip always stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionPolicy {
    /// The newest checkpoints stay: 20 by default.
    pub keep_last: u32,
    /// Older ones than this go, even among the newest; by default age alone removes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// Tagged ones stay, whatever their age and number: true by default.
    pub keep_tagged: bool,
}

impl Default for RetentionPolicy {
    fn default() -> Self {
        Self { keep_last: 20, max_age: None, keep_tagged: true }
    }
}

/// Asks to forget checkpoints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PruneRequest {
    /// Only this thread; all of the store where `None`.
    pub thread: Option<AgentId>,
    /// What stays.
    pub policy: RetentionPolicy,
    /// How many checkpoints at most are removed by this call: 1,000 by default.
    pub limit: usize,
}

impl PruneRequest {
    /// Prunes one thread.
    pub fn thread(thread: AgentId, policy: RetentionPolicy) -> Self {
        Self { thread: Some(thread), policy, limit: 1_000 }
    }

    /// Prunes every thread.
    pub fn all(policy: RetentionPolicy) -> Self {
        Self { thread: None, policy, limit: 1_000 }
    }
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Checkpoints.
    pub checkpoints: u64,
    /// Outcomes whose retention had ended.
    pub outcomes: u64,
    /// Whether there is more to prune.
    pub more: bool,
}

impl Pruned {
    /// What was forgotten.
    pub fn new(checkpoints: u64, outcomes: u64, more: bool) -> Self {
        Self { checkpoints, outcomes, more }
    }
}
