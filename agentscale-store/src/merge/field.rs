use std::cmp::Ordering;

use agentscale_core::{Json, Stamp};
use serde::{Deserialize, Serialize};

/// The last write of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What was written; `None` where the field was removed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    value: Option<Json>,
    /// When, and by which node.
    stamp: Stamp,
}

impl Field {
    /// A write, or with `None` a removal.
    pub fn new(value: Option<Json>, stamp: Stamp) -> Self {
        Self { value, stamp }
    }

    /// What was written; `None` where the field was removed.
    pub fn value(&self) -> Option<&Json> {
        self.value.as_ref()
    }

    /// When it was written, and by which node.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The order of writes: by time, then by node. No node gives a stamp twice; where one does all the same, the texts
    /// decide, so that all replicas decide alike.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let text = |field: &Self| field.value.as_ref().map(|value| value.as_str().to_owned());
        self.stamp.cmp(&other.stamp).then_with(|| text(self).cmp(&text(other)))
    }
}

/// Only a missing value is none: JSON's null is a value.
fn there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}
