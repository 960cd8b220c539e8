use std::collections::HashSet;

use agentscale::core::{Account, Priority, Tenant};

use crate::config::KeyConfig;

/// Who calls, and what they may.
#[derive(Debug)]
pub(crate) struct Principal {
    /// The key's name, for logs.
    pub(crate) name: String,
    pub(crate) tenant: Tenant,
    pub(crate) account: Option<Account>,
    most_urgent: Priority,
    models: Option<HashSet<String>>,
}

impl Principal {
    pub(super) fn new(key: &KeyConfig) -> Self {
        Self {
            name: key.name.clone(),
            tenant: key.tenant.clone(),
            account: key.account.clone(),
            most_urgent: key.priority,
            models: key.models.as_ref().map(|models| models.iter().cloned().collect()),
        }
    }

    pub(crate) fn may_call(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(model))
    }

    /// The class of a call that asks for `asked`; `None` where that is more urgent than the key allows.
    pub(crate) fn priority(&self, asked: Option<Priority>) -> Option<Priority> {
        // The least urgent class is the greatest.
        let priority = asked.unwrap_or_else(|| self.most_urgent.max(Priority::default()));
        (priority >= self.most_urgent).then_some(priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::Tenant;

    use crate::auth::KeyHash;

    #[test]
    fn a_call_is_as_urgent_as_its_key_allows_and_no_more() {
        let principal = with_most_urgent(Priority::Supervised);
        assert_eq!(principal.priority(None), Some(Priority::Conversation));
        assert_eq!(principal.priority(Some(Priority::Supervised)), Some(Priority::Supervised));
        assert_eq!(principal.priority(Some(Priority::Evaluation)), Some(Priority::Evaluation));
        assert_eq!(principal.priority(Some(Priority::Incident)), None);
        assert_eq!(with_most_urgent(Priority::Evaluation).priority(None), Some(Priority::Evaluation));
    }

    fn with_most_urgent(priority: Priority) -> Principal {
        Principal::new(&KeyConfig {
            name: "test".to_owned(),
            hash: KeyHash::of("test"),
            tenant: Tenant::new("acme").unwrap(),
            account: None,
            priority,
            models: None,
        })
    }
}
