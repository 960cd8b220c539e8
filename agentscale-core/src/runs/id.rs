use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Epoch, TurnId};
use crate::{AgentId, Error, ErrorKind, Result};

/// Names a run: one turn of one agent, across its repetitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId {
    /// Whose run it is.
    pub agent: AgentId,
    /// The turn: the idempotency key of its message, else the message's id.
    pub turn: TurnId,
}

impl RunId {
    /// The run of an agent.
    pub fn new(agent: AgentId, turn: TurnId) -> Self {
        Self { agent, turn }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.agent, self.turn)
    }
}

/// Names an event among those of its run. Later events have higher ids, also those of a later owner.
///
/// As text it suits the `id` of a server-sent event, which comes back as `Last-Event-ID`.
///
/// ```
/// use agentscale_core::runs::EventId;
///
/// let last: EventId = "0-7-12".parse()?;
/// assert!(last > "0-7-2".parse()?);
/// assert_eq!(last.to_string(), "0-7-12");
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId {
    /// Of the owner that appended it.
    pub epoch: Epoch,
    /// Counted from 1 by that owner; 0 stands before its first.
    pub number: u64,
}

impl EventId {
    /// The event of this number.
    pub fn new(epoch: Epoch, number: u64) -> Self {
        Self { epoch, number }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.epoch.incarnation, self.epoch.counter, self.number)
    }
}

impl FromStr for EventId {
    type Err = Error;

    /// # Errors
    /// `invalid_input` for a text that names no event.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = || {
            let mut parts = text.split('-').map(digits);
            let incarnation = u32::try_from(parts.next()??).ok()?;
            let (counter, number) = (parts.next()??, parts.next()??);
            parts.next().is_none().then(|| Self::new(Epoch { incarnation, counter }, number))
        };
        parsed().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "read event id"))
    }
}

/// A number in its one shortest form.
fn digits(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl TryFrom<String> for EventId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_read_as_it_was_written(incarnation: u32, counter: u64, number: u64) {
            let id = EventId::new(Epoch { incarnation, counter }, number);
            prop_assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            if let Ok(id) = text.parse::<EventId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn what_names_no_event_is_invalid() {
        for text in
            ["", "1", "1-2", "1-2-3-4", "1-2-", "+1-2-3", "01-2-3", "4294967296-0-0", "a-b-c", "1-2-3\n"]
        {
            assert_eq!(text.parse::<EventId>().unwrap_err().kind(), ErrorKind::InvalidInput, "{text:?}");
        }
    }
}
