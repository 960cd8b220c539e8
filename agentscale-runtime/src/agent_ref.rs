use std::time::Duration;

use agentscale_core::runs::{RunId, TurnId};
use agentscale_core::{
    Account, Address, AgentId, AgentMessage, Body, Deadline, Destination, IdempotencyKey, MessageKind,
    Priority, Result, TraceContext,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

use crate::runtime::Shared;

/// Names an agent and how to speak to it. Cheap to clone; the agent need not be in memory, nor exist yet.
#[derive(Clone, Debug)]
pub struct AgentRef {
    runtime: Arc<Shared>,
    agent: AgentId,
    timeout: Option<Duration>,
    idempotency_key: Option<IdempotencyKey>,
    priority: Priority,
    account: Option<Account>,
    trace: Option<TraceContext>,
}

impl AgentRef {
    pub(crate) fn new(runtime: Arc<Shared>, agent: AgentId) -> Self {
        Self {
            runtime,
            agent,
            timeout: None,
            idempotency_key: None,
            priority: Priority::default(),
            account: None,
            trace: None,
        }
    }

    /// Ends a request, and forgets an event, this long after it was sent. A request ends after 30 s by default.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What is sent has its effect once, however often it is sent under this key.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: IdempotencyKey) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// Sets what goes first.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets to whom the cost is booked.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// Makes what is sent part of a trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The agent.
    pub fn id(&self) -> &AgentId {
        &self.agent
    }

    /// Names the run of what is sent under the idempotency key, for [`Runtime::follow`](crate::Runtime::follow); `None`
    /// without one.
    pub fn run(&self) -> Option<RunId> {
        let turn = TurnId(self.idempotency_key.as_ref()?.to_string());
        Some(RunId::new(self.agent.clone(), turn))
    }

    /// Sends an event. `Ok` says that it stands in the agent's mailbox, not that it was handled.
    ///
    /// # Errors
    /// `overloaded` when the mailbox or the runtime is full; `not_found` for a type without a pool; `too_large`.
    pub async fn tell<T: Serialize + Send + Sync + 'static>(&self, event: T) -> Result<()> {
        self.runtime.transport.send(self.message(MessageKind::Event, Body::new(event))).await
    }

    /// Asks and waits for the answer. Dropping the future cancels the turn.
    ///
    /// # Errors
    /// As for [`tell`](Self::tell); the agent's error; `deadline_exceeded`; `conflict` for an idempotency key that
    /// was used with another question; `invalid_input` for an answer of another shape.
    pub async fn ask<T, R>(&self, question: T) -> Result<R>
    where
        T: Serialize + Send + Sync + 'static,
        R: DeserializeOwned + Send + Sync + 'static,
    {
        let request = self.message(MessageKind::Request, Body::new(question));
        let reply = self.runtime.transport.request(request).await?;
        reply.into_body().take()
    }

    fn message(&self, kind: MessageKind, body: Body) -> AgentMessage {
        let to = Destination::Agent(Address::from(&self.agent));
        let stamp = self.runtime.stamp();
        let mut message = AgentMessage::new(kind, self.agent.tenant.clone(), to, body, stamp);
        message.priority = self.priority;
        message.account.clone_from(&self.account);
        message.idempotency_key.clone_from(&self.idempotency_key);
        message.trace = self.trace.clone().map(Box::new);
        message.deadline = self.timeout.map(|timeout| Deadline::after(stamp.unix_micros(), timeout));
        message
    }
}
