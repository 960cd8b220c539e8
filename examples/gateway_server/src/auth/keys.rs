use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use agentscale::core::{Error, ErrorKind, Result};

use super::{KeyHash, Principal};
use crate::config::KeyConfig;

/// The keys that are known, each with its principal, made once.
#[derive(Debug)]
pub(crate) struct Keys(RwLock<Known>);

type Known = HashMap<[u8; 8], Vec<(KeyHash, Arc<Principal>)>>;

impl Keys {
    /// # Errors
    /// `invalid_input` for a key that stands twice: whose calls are its?
    pub(crate) fn new(entries: &[KeyConfig]) -> Result<Self> {
        known(entries).map(|known| Self(RwLock::new(known)))
    }

    /// Puts others in their place: from now on nobody is known who is not among them.
    ///
    /// # Errors
    /// As for [`new`](Self::new); then nothing has changed.
    pub(crate) fn exchange(&self, entries: &[KeyConfig]) -> Result<()> {
        let known = known(entries)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Who calls with this key.
    pub(crate) fn find(&self, key: &str) -> Option<Arc<Principal>> {
        let hash = KeyHash::of(key);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut alike = known.get(&hash.beginning())?.iter();
        alike.find(|(known, _)| *known == hash).map(|(_, principal)| Arc::clone(principal))
    }
}

fn known(entries: &[KeyConfig]) -> Result<Known> {
    let mut known = Known::new();
    for entry in entries {
        let alike = known.entry(entry.hash.beginning()).or_default();
        if alike.iter().any(|(hash, _)| *hash == entry.hash) {
            return Err(Error::new(ErrorKind::InvalidInput, "set up the keys")
                .with_context("key", &entry.name)
                .with_context("reason", "stands twice"));
        }
        alike.push((entry.hash, Arc::new(Principal::new(entry))));
    }
    Ok(known)
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

    #[test]
    fn a_key_that_is_left_out_is_not_known_any_more_and_an_exchange_that_fails_changes_nothing() {
        let keys = Keys::new(&[entry("one"), entry("two")]).unwrap();
        keys.exchange(&[entry("two"), entry("three")]).unwrap();
        let known = |key| keys.find(key).is_some();
        assert_eq!(["one", "two", "three"].map(known), [false, true, true]);
        keys.exchange(&[entry("four"), entry("four")]).unwrap_err();
        assert_eq!(["two", "three", "four"].map(known), [true, true, false]);
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
