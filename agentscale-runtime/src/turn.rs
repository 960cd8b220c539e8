//! What an agent can do within a turn.

use std::future::Future;
use std::time::Duration;

use agentscale_core::knowledge::Hit;
use agentscale_core::{
    Address, AgentId, Body, Deadline, Destination, Error, ErrorKind, IdempotencyKey, MessageKind, Result,
    Topic,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::Outcome;

mod context;
mod emit;
mod journal;
mod knowledge;
mod llm;

pub(crate) use context::{DurableTurn, TurnContext};
pub use journal::StepKey;
pub use knowledge::TurnKnowledge;
pub use llm::TurnLlm;

/// One turn of one agent: its state, what was recalled, and everything that can be done from within.
#[derive(Debug)]
pub struct Turn<'a, S> {
    state: &'a mut S,
    context: &'a TurnContext<'a>,
}

impl<'a, S> Turn<'a, S> {
    pub(crate) fn new(state: &'a mut S, context: &'a TurnContext<'a>) -> Self {
        Self { state, context }
    }

    /// The agent's state.
    pub fn state(&self) -> &S {
        self.state
    }

    /// The agent's state, to be changed; it is committed when the turn ends well.
    pub fn state_mut(&mut self) -> &mut S {
        self.state
    }

    /// The agent.
    pub fn agent(&self) -> AgentId {
        self.context.agent()
    }

    /// What [`Agent::recall`](crate::Agent::recall) found, best first.
    pub fn recalled(&self) -> &[Hit] {
        self.context.recalled
    }

    /// Ends the turn with an answer.
    pub fn reply<T: Serialize + Send + Sync + 'static>(&self, answer: T) -> Outcome {
        Outcome::Reply(Body::new(answer))
    }

    /// The models, each call a journaled step.
    pub fn llm(&self) -> TurnLlm<'_> {
        TurnLlm::new(self.context)
    }

    /// The tenant's knowledge.
    pub fn knowledge(&self) -> TurnKnowledge<'_> {
        TurnKnowledge::new(self.context)
    }

    /// Sends an event to an agent of the same tenant. It leaves when the turn has committed.
    pub fn send<T: Serialize + Send + Sync + 'static>(&self, to: &Address, event: T) {
        let to = Destination::Agent(to.clone());
        self.context.leave(self.context.message(MessageKind::Event, to, Body::new(event)));
    }

    /// Publishes an event to a topic of the same tenant. It leaves when the turn has committed.
    pub fn publish<T: Serialize + Send + Sync + 'static>(&self, topic: &Topic, event: T) {
        let to = Destination::Topic(topic.clone());
        self.context.leave(self.context.message(MessageKind::Event, to, Body::new(event)));
    }

    /// Asks an agent of the same tenant and waits for its answer: a journaled step. The other agent's turn commits
    /// by itself; asked again after a crash, it gives the answer that it gave.
    ///
    /// # Errors
    /// `invalid_input` for an ask that would wait for itself, or a chain over the longest; the other agent's error;
    /// `deadline_exceeded` by this turn's deadline.
    pub async fn ask<T, R>(&self, to: &Address, question: T) -> Result<R>
    where
        T: Serialize + Send + Sync + 'static,
        R: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let context = self.context;
        let chain = context.chain_for_ask(to)?;
        let body = Body::new(question);
        let hash = context.is_durable().then(|| journal::hash_of_ask(to, &body)).transpose()?;
        let step = context.begin_step();
        let ask = async {
            let mut request = context.message(MessageKind::Request, Destination::Agent(to.clone()), body);
            request.chain = chain;
            request.deadline = Some(Deadline::after(request.stamp.unix_micros(), context.time_left()));
            if context.is_durable() {
                request.idempotency_key = Some(IdempotencyKey::new(context.step_key(step).to_string())?);
            }
            let reply = context.runtime.transport.request(request).await?;
            context.runtime.observe(reply.stamp);
            reply.into_body().take::<R>()
        };
        context.run_step(step, hash, ask).await
    }

    /// Waits: a journaled step, so that a repeated turn waits only for what is left.
    ///
    /// # Errors
    /// What the store gives.
    pub async fn sleep(&self, wait: Duration) -> Result<()> {
        let context = self.context;
        let step = context.begin_step();
        let hash = context.is_durable().then(|| journal::hash(&[b"sleep"])).transpose()?;
        let until = async { Ok(Deadline::after(context.runtime.clock.unix_micros(), wait)) };
        let until: Deadline = context.run_step(step, hash, until).await?;
        if let Some(left) = until.remaining(context.runtime.clock.unix_micros()) {
            let _waiting = context.waits.enter();
            tokio::time::sleep(left).await;
        }
        Ok(())
    }

    /// Runs an effect as a journaled step: once it has finished, a repeated turn gets its result without running it.
    /// `request` says what is asked, so that changed code is noticed; the [`StepKey`] lets the other side see a
    /// repetition, for an effect that finished while its record was lost.
    ///
    /// # Errors
    /// `conflict` where the journal holds another request at this step; the effect's error, which is not journaled.
    pub async fn step<Q, R, F>(&self, request: &Q, effect: impl FnOnce(StepKey) -> F) -> Result<R>
    where
        Q: Serialize + ?Sized,
        R: Serialize + DeserializeOwned,
        F: Future<Output = Result<R>>,
    {
        let hash = self.context.is_durable().then(|| journal::hash_of("step", request)).transpose()?;
        let step = self.context.begin_step();
        self.context.run_step(step, hash, effect(self.context.step_key(step))).await
    }

    /// Runs blocking work on the runtime's blocking threads. It is no step: a repeated turn runs it again.
    ///
    /// # Errors
    /// `internal` where the work panicked.
    pub async fn blocking<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R> {
        let _waiting = self.context.waits.enter();
        self.context.runtime.blocking.run(work).await
    }
}

pub(crate) fn missing(part: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, part).with_context("reason", "the runtime was built without it")
}
