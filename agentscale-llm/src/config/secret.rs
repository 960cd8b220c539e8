use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Where a secret stands: `env:NAME`, `file:/path`, `vault:mount/path#field`, or by a scheme of the host's.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretRef {
    text: String,
    scheme: usize,
}

impl SecretRef {
    /// Reads `scheme:name`; `None` for a text of another form.
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let scheme = text.find(':')?;
        let is_scheme = text[..scheme].bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'-');
        (is_scheme && scheme > 0 && scheme + 1 < text.len()).then_some(Self { text, scheme })
    }

    /// What names the source.
    pub fn scheme(&self) -> &str {
        &self.text[..self.scheme]
    }

    /// What names the secret there.
    pub fn name(&self) -> &str {
        &self.text[self.scheme + 1..]
    }

    /// Both.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretRef").field(&self.text).finish()
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text is left out: whoever got the form wrong may have put the secret itself there.
        Self::parse(String::deserialize(deserializer)?).ok_or_else(|| {
            D::Error::custom(
                "a secret is named by where it stands: env:NAME, file:/path, vault:mount/path#field",
            )
        })
    }
}
