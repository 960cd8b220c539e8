use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::subjects::check_prefix;
use crate::time::millis;
use crate::{Error, ErrorKind, Result};

/// Options of a [`NatsTransport`](super::NatsTransport).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NatsTransportConfig {
    /// The first token of every subject, and of the name of every stream: `agentscale` by default. Transports that shall
    /// reach each other agree on it.
    pub prefix: String,
    /// The largest message in bytes, header and body: 1 MiB less 16 KiB by default. The server's `max_payload` is a limit
    /// besides.
    pub max_message_bytes: usize,
    /// How often an acknowledged subscription is given a message before it is a dead letter: 5 by default.
    pub max_deliveries: u32,
    /// `ack_wait_ms`: milliseconds for which an acknowledged delivery may be silent before it comes again: 30 000 by
    /// default. Transports of one prefix agree on it.
    #[serde(rename = "ack_wait_ms", with = "millis")]
    pub ack_wait: Duration,
    /// `full_wait_ms`: milliseconds before a delivery comes again that a full inbox refused: 1 000 by default.
    #[serde(rename = "full_wait_ms", with = "millis")]
    pub full_wait: Duration,
    /// How many deliveries of one acknowledged subscription wait for their acknowledgement in all its members together,
    /// JetStream's `max_ack_pending`: 1 024 by default. A node that takes as many turns as it lets wait has no more
    /// on its hands.
    pub max_ack_pending: u32,
    /// How many messages a member asks for ahead: 64 by default.
    pub prefetch: u16,
    /// How many copies JetStream keeps: 1 by default; 3 on a cluster of three servers or more.
    pub replicas: u8,
    /// Bytes that each stream keeps, beyond which senders are refused: 1 GiB by default.
    pub stream_bytes: u64,
    /// How many dead letters are kept, the oldest going first: 1 024 by default.
    pub dead_letters: u32,
    /// How many messages wait for the connection, beyond which senders wait: 4 096 by default.
    pub outgoing: usize,
}

impl Default for NatsTransportConfig {
    fn default() -> Self {
        Self {
            prefix: "agentscale".to_owned(),
            max_message_bytes: (1 << 20) - (16 << 10),
            max_deliveries: 5,
            ack_wait: Duration::from_secs(30),
            full_wait: Duration::from_secs(1),
            max_ack_pending: 1_024,
            prefetch: 64,
            replicas: 1,
            stream_bytes: 1 << 30,
            dead_letters: 1_024,
            outgoing: 4_096,
        }
    }
}

impl NatsTransportConfig {
    /// # Errors
    /// `invalid_input` for what cannot work, by field.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |field: &'static str| {
            Err(Error::new(ErrorKind::InvalidInput, "open nats transport").with_context("field", field))
        };
        check_prefix(&self.prefix)?;
        if self.max_message_bytes == 0 {
            return invalid("max_message_bytes");
        }
        if self.max_deliveries == 0 {
            return invalid("max_deliveries");
        }
        if self.ack_wait < Duration::from_millis(100) {
            return invalid("ack_wait_ms");
        }
        if self.max_ack_pending == 0 {
            return invalid("max_ack_pending");
        }
        if self.prefetch == 0 {
            return invalid("prefetch");
        }
        if !(1..=5).contains(&self.replicas) {
            return invalid("replicas");
        }
        if self.stream_bytes == 0 || i64::try_from(self.stream_bytes).is_err() {
            return invalid("stream_bytes");
        }
        if self.dead_letters == 0 {
            return invalid("dead_letters");
        }
        if self.outgoing == 0 {
            return invalid("outgoing");
        }
        Ok(())
    }
}
