use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::NewEvent;
use crate::{Error, ErrorKind, Result};

/// What a stream holds, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RunStreamLimits {
    /// How long a stream is kept after the last append or renewal, 10 ms to 24 h. Default 600 s.
    pub ttl: Duration,
    /// Events of a stream; the oldest make room. Default 10,000.
    pub events: usize,
    /// Bytes of the events of a stream, by [`NewEvent::size`]; the oldest make room. Default 1 MiB.
    pub bytes: usize,
    /// Bytes of one event, at most those of a stream. Default 64 KiB.
    pub event_bytes: usize,
}

impl Default for RunStreamLimits {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(600), events: 10_000, bytes: 1 << 20, event_bytes: 64 << 10 }
    }
}

impl RunStreamLimits {
    /// Refuses limits that cannot work.
    ///
    /// # Errors
    /// `invalid_input` with the `field`.
    pub fn check(&self) -> Result<()> {
        let is_ttl = self.ttl >= Duration::from_millis(10) && self.ttl <= Duration::from_secs(86_400);
        let fields = [
            ("ttl", is_ttl),
            ("events", self.events > 0),
            ("bytes", self.bytes > 0),
            ("event_bytes", self.event_bytes > 0 && self.event_bytes <= self.bytes),
        ];
        fields.into_iter().find(|(_, holds)| !holds).map_or(Ok(()), |(field, _)| {
            Err(Error::new(ErrorKind::InvalidInput, "read limits of run streams")
                .with_context("field", field))
        })
    }

    /// Refuses an event that is too large for any stream.
    ///
    /// # Errors
    /// `too_large`.
    pub fn check_event(&self, event: &NewEvent) -> Result<()> {
        let bytes = event.size();
        if bytes <= self.event_bytes {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, "append event")
            .with_context("bytes", bytes)
            .with_context("limit", self.event_bytes))
    }
}
