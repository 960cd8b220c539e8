//! Which subject a message goes by. The tenant is part of each, so that an account of NATS can be given one tenant's
//! alone: `PREFIX.TENANT.>`.

use std::fmt::Write as _;

use crate::transport::SubscriptionTarget;
use crate::{AgentType, Error, ErrorKind, Result, Tenant, Topic};

/// The longest name of a stream or a consumer that is made of the names of others.
const MAX_STREAM_NAME: usize = 200;

/// Makes subjects below one prefix.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    prefix: String,
}

impl Subjects {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Requests to a pool.
    pub(super) fn ask(&self, tenant: &Tenant, agent_type: &AgentType) -> String {
        self.subject(Some(tenant), "ask", agent_type.as_str())
    }

    /// Messages to a pool that wait for no reply.
    pub(super) fn tell(&self, tenant: &Tenant, agent_type: &AgentType) -> String {
        self.subject(Some(tenant), "tell", agent_type.as_str())
    }

    /// That a request to a pool is not waited for any more.
    pub(super) fn cancel(&self, tenant: &Tenant, agent_type: &AgentType) -> String {
        self.subject(Some(tenant), "cancel", agent_type.as_str())
    }

    pub(super) fn topic(&self, tenant: &Tenant, topic: &Topic) -> String {
        self.subject(Some(tenant), "topic", topic.as_str())
    }

    /// The requests, messages and cancels of a pool, of every tenant.
    pub(super) fn pool(&self, agent_type: &AgentType) -> [String; 3] {
        ["ask", "tell", "cancel"].map(|kind| self.subject(None, kind, agent_type.as_str()))
    }

    pub(super) fn dead(&self) -> String {
        format!("{}.dead", token(&self.prefix))
    }

    pub(super) fn dead_stream(&self) -> String {
        format!("{}-dead", token(&self.prefix))
    }

    /// The name of the stream that keeps what goes to a target.
    ///
    /// # Errors
    /// `invalid_input` for names that are too long for one.
    pub(super) fn stream(&self, target: &SubscriptionTarget) -> Result<String> {
        let prefix = token(&self.prefix);
        let name = match target {
            SubscriptionTarget::Pool(agent_type) => format!("{prefix}-pool-{}", token(agent_type.as_str())),
            // A token has no `=`.
            SubscriptionTarget::Topic(tenant, topic) => {
                format!("{prefix}-topic-{}={}", token(tenant.as_str()), token(topic.as_str()))
            }
        };
        checked(name)
    }

    fn subject(&self, tenant: Option<&Tenant>, kind: &str, name: &str) -> String {
        let tenant = tenant.map_or_else(|| "*".to_owned(), |tenant| token(tenant.as_str()));
        format!("{}.{tenant}.{kind}.{}", token(&self.prefix), token(name))
    }
}

/// The name of the consumer of a queue group.
///
/// # Errors
/// `invalid_input` for a name that is too long for one.
pub(super) fn consumer(group: &str) -> Result<String> {
    checked(format!("group-{}", token(group)))
}

fn checked(name: String) -> Result<String> {
    if name.len() <= MAX_STREAM_NAME {
        return Ok(name);
    }
    Err(Error::new(ErrorKind::InvalidInput, "name stream")
        .with_context("bytes", name.len())
        .with_context("limit", MAX_STREAM_NAME))
}

/// # Errors
/// `invalid_input` for an empty prefix or a long one.
pub(super) fn check_prefix(prefix: &str) -> Result<()> {
    if !prefix.is_empty() && prefix.len() <= 32 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "open nats transport").with_context("field", "prefix"))
}

/// A name as one token of a subject, of a stream's name, and of a queue group's: letters, digits, `_` and `-` stand for
/// themselves, every other byte is `%` and two hex digits. No two names have the same, and none has a `.`, a wildcard or
/// a space.
pub(super) fn token(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            token.push(char::from(byte));
        } else {
            // Text takes whatever is written to it.
            let _ = write!(token, "%{byte:02X}");
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_a_token_and_no_two_names_are_the_same() {
        let names = ["acme", "acme.eu", "*", ">", "a b", "acme%2Eeu", "ä", "%", "A", "a"];
        let tokens: Vec<_> = names.iter().map(|name| token(name)).collect();
        for token in &tokens {
            assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-%".contains(&b)), "{token}");
        }
        let different: std::collections::HashSet<_> = tokens.iter().collect();
        assert_eq!(different.len(), names.len());
        assert_eq!(token("acme.eu"), "acme%2Eeu");
    }

    #[test]
    fn the_tenant_is_part_of_every_subject_and_a_pool_listens_to_all() {
        let subjects = Subjects::new("agentscale");
        let (tenant, agent_type) = (Tenant::new("acme.eu").unwrap(), AgentType::new("worker").unwrap());
        assert_eq!(subjects.ask(&tenant, &agent_type), "agentscale.acme%2Eeu.ask.worker");
        assert_eq!(subjects.pool(&agent_type)[0], "agentscale.*.ask.worker");
        let topic = Topic::new("a.b").unwrap();
        assert_eq!(subjects.topic(&tenant, &topic), "agentscale.acme%2Eeu.topic.a%2Eb");
    }

    #[test]
    fn streams_of_different_targets_have_different_names() {
        let subjects = Subjects::new("p");
        let topic = |tenant: &str, topic: &str| {
            let target = SubscriptionTarget::Topic(Tenant::new(tenant).unwrap(), Topic::new(topic).unwrap());
            subjects.stream(&target)
        };
        assert_ne!(topic("a-b", "c").unwrap(), topic("a", "b-c").unwrap());
        assert_eq!(topic("a", &"x".repeat(200)).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
