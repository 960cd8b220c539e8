use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lease::check_ttl;
use crate::time::millis;
use crate::{Error, ErrorKind, Result};

/// How an instance takes slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SlotConfig {
    /// How long the slots of an instance last that is not heard of, in milliseconds. Default 10,000.
    #[serde(rename = "ttl_ms", with = "millis")]
    pub ttl: Duration,
    /// How long a run waits for its slot unless it says otherwise, in milliseconds. Default 30,000.
    #[serde(rename = "max_wait_ms", with = "millis")]
    pub max_wait: Duration,
    /// While runs wait, the store is asked again after this time at the latest, in milliseconds. Default 100.
    #[serde(rename = "max_poll_ms", with = "millis")]
    pub max_poll: Duration,
    /// Runs of one account that wait, at most. Default 100.
    pub max_waiting_of_account: usize,
    /// Runs of all accounts that wait, at most. Default 10,000.
    pub max_waiting: usize,
}

impl Default for SlotConfig {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(10),
            max_wait: Duration::from_secs(30),
            max_poll: Duration::from_millis(100),
            max_waiting_of_account: 100,
            max_waiting: 10_000,
        }
    }
}

impl SlotConfig {
    /// # Errors
    /// `invalid_input` with the name of a field that cannot work.
    pub(super) fn check(&self) -> Result<()> {
        check_ttl(self.ttl)?;
        let field = match () {
            () if self.max_poll.is_zero() => "max_poll_ms",
            () if self.max_waiting_of_account == 0 => "max_waiting_of_account",
            () if self.max_waiting == 0 => "max_waiting",
            () => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidInput, "start slots")
            .with_context("field", field)
            .with_context("reason", "zero"))
    }
}
