use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// How many runs the accounts of each tier may have under way at once.
///
/// ```
/// use agentscale_core::slots::Tiers;
///
/// let tiers = Tiers::default().with("team", 25);
/// assert_eq!((tiers.slots("free")?, tiers.slots("paid")?, tiers.slots("team")?), (1, 10, 25));
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tiers {
    slots: BTreeMap<String, u32>,
}

impl Tiers {
    /// No tier.
    pub fn new() -> Self {
        Self { slots: BTreeMap::new() }
    }

    /// Adds a tier, or changes it. One of 0 slots lets nothing run.
    #[must_use]
    pub fn with(mut self, tier: impl Into<String>, slots: u32) -> Self {
        self.slots.insert(tier.into(), slots);
        self
    }

    /// The slots of an account of this tier.
    ///
    /// # Errors
    /// `not_found` for a tier that is none.
    pub fn slots(&self, tier: &str) -> Result<u32> {
        self.slots.get(tier).copied().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "read tier").with_context("tier", tier.escape_debug())
        })
    }
}

/// `free` with one slot, `paid` with ten.
impl Default for Tiers {
    fn default() -> Self {
        Self::new().with("free", 1).with("paid", 10)
    }
}
