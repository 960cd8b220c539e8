//! JSON as text: schemas, tool arguments and metadata cross the API without a parser's type.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{Error, ErrorKind, Result};

/// A valid JSON text.
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// Checks a JSON text.
    ///
    /// # Errors
    /// `invalid_input` for a text that is not JSON.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        RawValue::from_string(text.into())
            .map(|raw| Self(raw.into()))
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "parse json").with_source(error))
    }

    /// Encodes a value.
    ///
    /// # Errors
    /// `invalid_input` for a value that JSON cannot hold.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        serde_json::value::to_raw_value(value)
            .map(|raw| Self(raw.into()))
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "encode json").with_source(error))
    }

    /// Decodes into a type.
    ///
    /// # Errors
    /// `invalid_input` for a text of another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.as_str())
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "decode json").with_source(error))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(raw.into()))
    }
}
