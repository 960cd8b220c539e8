use std::fmt;

use agentscale_core::Result;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::parse::hide_values;
use super::refused;

/// What keys call: a kind, and the settings that this kind takes beside it.
///
/// The kinds of this crate take the fields of their configurations, as `openai` those of
/// [`OpenAiConfig`](crate::openai) without the key, which [`KeyConfig::secret`](super::KeyConfig::secret) names.
#[derive(Clone, PartialEq)]
pub struct ProviderConfig {
    kind: String,
    settings: Map<String, Value>,
}

impl ProviderConfig {
    /// A kind with its defaults.
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), settings: Map::new() }
    }

    /// The kind, as [`Registry`](super::Registry) knows it.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The settings, as this kind has them.
    ///
    /// # Errors
    /// `invalid_input` with the reason.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(Value::Object(self.settings.clone()))
            .map_err(|error| refused("provider", hide_values(&error.to_string())))
    }

    pub(super) fn has(&self, setting: &str) -> bool {
        self.settings.contains_key(setting)
    }
}

impl fmt::Debug for ProviderConfig {
    /// Shows which settings there are and none of their values: a host's kind may take secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<_> = self.settings.keys().collect();
        f.debug_struct("ProviderConfig").field("kind", &self.kind).field("settings", &settings).finish()
    }
}

impl<'de> Deserialize<'de> for ProviderConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut settings = Map::deserialize(deserializer)?;
        match settings.remove("kind") {
            Some(Value::String(kind)) => Ok(Self { kind, settings }),
            _ => Err(D::Error::missing_field("kind")),
        }
    }
}
