//! Names and ids: validated once, cheap to clone.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// The longest name in bytes.
pub const MAX_NAME_BYTES: usize = 256;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// 1 to [`MAX_NAME_BYTES`] bytes without control characters.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the name.
            ///
            /// # Errors
            /// `invalid_input` for an empty or too long name, or one with control characters.
            pub fn new(name: impl Into<Arc<str>>) -> Result<Self> {
                let name = name.into();
                check_name($what, &name)?;
                Ok(Self(name))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(name: &str) -> Result<Self> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(name: String) -> Result<Self> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

names! {
    /// A customer of the host application: the hard partition of everything stored and delivered.
    Tenant: "tenant";
    /// An account within a tenant, to which usage is booked.
    Account: "account";
    /// A type of agents, which is also the name of their pool.
    AgentType: "agent type";
    /// Names one agent among those of its tenant and type.
    AgentKey: "agent key";
    /// A topic of events.
    Topic: "topic";
    /// What sort of thing a lease is for, such as `deployment`.
    LeaseKind: "lease kind";
    /// Names one lease among those of its tenant and kind.
    LeaseName: "lease name";
    /// Who holds a lease, as people and logs shall read it, such as a host and a process.
    LeaseHolder: "lease holder";
    /// What a lease is held for, as whoever is refused shall read it, such as `release 1.4.2`.
    LeaseNote: "lease note";
    /// A queue of jobs.
    QueueName: "queue name";
    /// Says what a job is about, and with it which handler runs it.
    JobKind: "job kind";
    /// What is the same in two jobs of which one is enough.
    UniqueKey: "unique key";
    /// Names a piece of work that is followed from its beginning to its end: a message, a job, a run.
    TaskName: "task name";
    /// What sort of event of a run it is, such as `text`.
    EventName: "event name";
    /// Names one schedule among those of its tenant.
    ScheduleName: "schedule name";
    /// Chosen by a caller so that a repeated request has its effect once.
    IdempotencyKey: "idempotency key";
}

/// Names an agent, and with it its thread of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AgentId {
    /// Whose agent it is.
    pub tenant: Tenant,
    /// Its type.
    #[serde(rename = "type")]
    pub agent_type: AgentType,
    /// Its name among those of its tenant and type.
    pub key: AgentKey,
}

impl AgentId {
    /// Checks the three names.
    ///
    /// # Errors
    /// `invalid_input` for a name that is none.
    pub fn new(tenant: &Tenant, agent_type: &str, key: &str) -> Result<Self> {
        Ok(Self { tenant: tenant.clone(), agent_type: agent_type.try_into()?, key: key.try_into()? })
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.agent_type, self.key)
    }
}

fn check_name(what: &'static str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(
            Error::new(ErrorKind::InvalidInput, format!("read {what}")).with_context("reason", "empty")
        );
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::new(ErrorKind::InvalidInput, format!("read {what}"))
            .with_context("bytes", name.len())
            .with_context("limit", MAX_NAME_BYTES));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::new(ErrorKind::InvalidInput, format!("read {what}"))
            .with_context("reason", "control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_when_empty_too_long_or_with_control_characters() {
        for name in ["", "a\0b", "a\r\nb", &"x".repeat(257)] {
            assert_eq!(Tenant::new(name).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(Tenant::new("x".repeat(256)).unwrap().as_str().len(), 256);
        assert!(serde_json::from_str::<Tenant>("\"\"").is_err());
    }
}
