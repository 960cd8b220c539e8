use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How the fields of a state are encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Codec(Cow<'static, str>);

impl Codec {
    /// One JSON text a field; what is appended to a field is a JSON array of the new items.
    pub const JSON: Self = Self(Cow::Borrowed("json"));

    /// The name in the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Codec {
    fn from(name: String) -> Self {
        if name == "json" { Self::JSON } else { Self(Cow::Owned(name)) }
    }
}

impl From<Codec> for String {
    fn from(codec: Codec) -> Self {
        codec.0.into_owned()
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says how to read the fields of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHeader {
    /// The encoding.
    pub codec: Codec,
    /// The version of the state's shape; older ones go through [`Upcasters`](super::Upcasters).
    pub schema_version: u32,
}

impl StateHeader {
    /// A JSON state of `schema_version`.
    pub fn json(schema_version: u32) -> Self {
        Self { codec: Codec::JSON, schema_version }
    }
}

/// A change of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldWrite {
    /// The field's whole value.
    Replace {
        /// The field.
        name: String,
        /// Its encoded value.
        value: Bytes,
    },
    /// Items behind those that the field has; a field that does not exist starts with them.
    Append {
        /// The field.
        name: String,
        /// The encoded items.
        items: Bytes,
    },
    /// The field is gone.
    Remove {
        /// The field.
        name: String,
    },
}

impl FieldWrite {
    /// The field that is written.
    pub fn name(&self) -> &str {
        match self {
            Self::Replace { name, .. } | Self::Append { name, .. } | Self::Remove { name } => name,
        }
    }

    /// The bytes written, names not counted.
    pub fn len(&self) -> usize {
        match self {
            Self::Replace { value, .. } => value.len(),
            Self::Append { items, .. } => items.len(),
            Self::Remove { .. } => 0,
        }
    }

    /// Whether no bytes are written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A field as it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The encoded value last replaced; `None` where the field was only appended to.
    pub value: Option<Bytes>,
    /// What was appended since, oldest first.
    pub appended: Vec<Bytes>,
}

/// Limits of one state, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateLimits {
    /// All that one commit writes: fields, outbox, outcome. Default 16 MiB.
    pub commit_bytes: usize,
    /// All fields of one checkpoint. Default 64 MiB.
    pub state_bytes: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { commit_bytes: 16 << 20, state_bytes: 64 << 20 }
    }
}
