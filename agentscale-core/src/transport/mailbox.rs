use serde::{Deserialize, Serialize};

/// How much an inbox holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailboxLimits {
    /// Messages: 1,024 by default.
    pub messages: usize,
    /// Bytes by the messages' size hints: 16 MiB by default.
    pub bytes: usize,
}

impl MailboxLimits {
    /// Limits by count and bytes.
    pub fn new(messages: usize, bytes: usize) -> Self {
        Self { messages, bytes }
    }

    /// Whether a message of `bytes` fits beside what is held.
    pub fn admit(&self, held_messages: usize, held_bytes: usize, bytes: usize) -> bool {
        held_messages < self.messages && held_bytes.saturating_add(bytes) <= self.bytes
    }
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self { messages: 1_024, bytes: 16 << 20 }
    }
}
