use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{AgentType, Error, ErrorKind, Result};

/// Turns the fields of one schema version into those of the next; values are whole (nothing appended).
pub type Upcaster = Arc<dyn Fn(BTreeMap<String, Bytes>) -> Result<BTreeMap<String, Bytes>> + Send + Sync>;

/// Upcasters of the host's agent types, by the version that they start from.
#[derive(Clone, Default)]
pub struct Upcasters {
    steps: BTreeMap<(AgentType, u32), Upcaster>,
}

impl Upcasters {
    /// No upcasters: only the current version can be read.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the step from `version` to `version + 1` of a type's state.
    #[must_use]
    pub fn with(
        mut self,
        agent_type: AgentType,
        version: u32,
        upcast: impl Fn(BTreeMap<String, Bytes>) -> Result<BTreeMap<String, Bytes>> + Send + Sync + 'static,
    ) -> Self {
        self.steps.insert((agent_type, version), Arc::new(upcast));
        self
    }

    /// Brings fields of version `from` to version `to`.
    ///
    /// # Errors
    /// `unsupported` for a version newer than `to`, or where a step is missing; and what a step gives.
    pub fn apply(
        &self,
        agent_type: &AgentType,
        mut fields: BTreeMap<String, Bytes>,
        from: u32,
        to: u32,
    ) -> Result<BTreeMap<String, Bytes>> {
        if from > to {
            return Err(missing(agent_type, from).with_context("known_version", to));
        }
        for version in from..to {
            let step =
                self.steps.get(&(agent_type.clone(), version)).ok_or_else(|| missing(agent_type, version))?;
            fields = step(fields)?;
        }
        Ok(fields)
    }
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.steps.keys()).finish()
    }
}

fn missing(agent_type: &AgentType, version: u32) -> Error {
    Error::new(ErrorKind::Unsupported, "upcast state")
        .with_context("agent_type", agent_type)
        .with_context("schema_version", version)
}
