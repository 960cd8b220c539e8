use std::time::Duration;

use agentscale_core::schedule::MAX_PAGE;
use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// How a [`Scheduler`](super::Scheduler) works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SchedulerConfig {
    /// The longest time between two ticks: by so much a schedule that another process stored may be late. Default 1 s.
    pub tick: Duration,
    /// Schedules of one tick, events of one transaction, at most. Default 256.
    pub batch: usize,
    /// How often it looks for new topics. Default 5 s.
    pub topics: Duration,
    /// Events of one topic that wait, at most; the transport keeps or brings again what is more. Default 1,024.
    pub waiting_events: usize,
    /// How often old history is removed. Default 10 min.
    pub maintenance: Duration,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(1),
            batch: 256,
            topics: Duration::from_secs(5),
            waiting_events: 1_024,
            maintenance: Duration::from_secs(600),
        }
    }
}

impl SchedulerConfig {
    pub(super) fn check(&self) -> Result<()> {
        let fields = [
            ("tick", self.tick.is_zero()),
            ("topics", self.topics.is_zero()),
            ("maintenance", self.maintenance.is_zero()),
            ("batch", self.batch == 0 || self.batch > MAX_PAGE),
            ("waiting_events", self.waiting_events == 0),
        ];
        match fields.into_iter().find(|(_, is_wrong)| *is_wrong) {
            Some((field, _)) => {
                Err(Error::new(ErrorKind::InvalidInput, "start scheduler").with_context("field", field))
            }
            None => Ok(()),
        }
    }
}
