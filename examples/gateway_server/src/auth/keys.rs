use std::collections::HashMap;
use std::sync::Arc;

use agentscale::core::{Error, ErrorKind, Result};

use super::{KeyHash, Principal};
use crate::config::KeyConfig;

/// The keys that are known, each with its principal, made once.
#[derive(Debug)]
pub(crate) struct Keys {
    by_beginning: HashMap<[u8; 8], Vec<(KeyHash, Arc<Principal>)>>,
}

impl Keys {
    /// # Errors
    /// `invalid_input` for a key that stands twice: whose calls are its?
    pub(crate) fn new(entries: &[KeyConfig]) -> Result<Self> {
        let mut keys = Self { by_beginning: HashMap::new() };
        for entry in entries {
            let alike = keys.by_beginning.entry(entry.hash.beginning()).or_default();
            if alike.iter().any(|(hash, _)| *hash == entry.hash) {
                return Err(Error::new(ErrorKind::InvalidInput, "set up the keys")
                    .with_context("key", &entry.name)
                    .with_context("reason", "stands twice"));
            }
            alike.push((entry.hash, Arc::new(Principal::new(entry))));
        }
        Ok(keys)
    }

    /// Who calls with this key.
    pub(crate) fn find(&self, key: &str) -> Option<&Arc<Principal>> {
        let hash = KeyHash::of(key);
        let alike = self.by_beginning.get(&hash.beginning())?;
        alike.iter().find(|(known, _)| *known == hash).map(|(_, principal)| principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::{Priority, Tenant};

    #[test]
    fn a_key_stands_for_its_own_principal_and_no_other() {
        let keys = Keys::new(&[entry("one"), entry("two")]).unwrap();
        assert_eq!(keys.find("two").unwrap().tenant.as_str(), "tenant of two");
        assert!(keys.find("three").is_none());
        assert!(keys.find("").is_none());
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let error = Keys::new(&[entry("one"), entry("one")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    fn entry(key: &str) -> KeyConfig {
        KeyConfig {
            name: key.to_owned(),
            hash: KeyHash::of(key),
            tenant: Tenant::new(format!("tenant of {key}")).unwrap(),
            account: None,
            priority: Priority::default(),
            models: None,
        }
    }
}
