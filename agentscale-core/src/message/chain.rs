use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Address;

/// The agents whose asks led to a message, the first one first.
#[derive(Clone, Default)]
pub struct CallChain(Option<Arc<Link>>);

struct Link {
    agent: Address,
    depth: u16,
    before: CallChain,
}

impl CallChain {
    /// The chain of what `agent` asks while it handles a message of this chain.
    #[must_use]
    pub fn then(&self, agent: Address) -> Self {
        Self(Some(Arc::new(Link { agent, depth: self.depth().saturating_add(1), before: self.clone() })))
    }

    /// How many asks led here.
    pub fn depth(&self) -> u16 {
        self.0.as_ref().map_or(0, |link| link.depth)
    }

    /// Whether `agent` waits in this chain.
    pub fn contains(&self, agent: &Address) -> bool {
        self.newest_first().any(|waiting| waiting == agent)
    }

    pub(crate) fn oldest_first(&self) -> Vec<&Address> {
        let mut agents: Vec<_> = self.newest_first().collect();
        agents.reverse();
        agents
    }

    fn newest_first(&self) -> impl Iterator<Item = &Address> {
        std::iter::successors(self.0.as_deref(), |link| link.before.0.as_deref()).map(|link| &link.agent)
    }
}

/// Link by link: a chain that was decoded is as long as its sender made it, and a stack is not.
impl Drop for Link {
    fn drop(&mut self) {
        let mut before = self.before.0.take();
        while let Some(mut link) = before.and_then(Arc::into_inner) {
            before = link.before.0.take();
        }
    }
}

impl PartialEq for CallChain {
    fn eq(&self, other: &Self) -> bool {
        self.newest_first().eq(other.newest_first())
    }
}

impl Eq for CallChain {}

impl fmt::Debug for CallChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.newest_first()).finish()
    }
}

impl Serialize for CallChain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.oldest_first().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CallChain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let agents = Vec::<Address>::deserialize(deserializer)?;
        Ok(agents.into_iter().fold(Self::default(), |chain, agent| chain.then(agent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_any_length_is_decoded_compared_and_dropped() {
        let agents = vec![Address::new("researcher", "alice").unwrap(); 200_000];
        let encoded = serde_json::to_vec(&agents).unwrap();
        let chain: CallChain = serde_json::from_slice(&encoded).unwrap();
        assert_eq!(chain, serde_json::from_slice(&encoded).unwrap());
        assert_ne!(chain, chain.then(agents[0].clone()));
        assert_eq!(chain.depth(), u16::MAX);
    }
}
