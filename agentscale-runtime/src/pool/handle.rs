//! A turn up to its commit: the state is loaded beside what is recalled, and the agent handles the message.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use agentscale_core::checkpoint::TurnId;
use agentscale_core::knowledge::{Hit, KnowledgeQuery};
use agentscale_core::transport::ReplyTo;
use agentscale_core::{AgentMessage, Body, Error, ErrorKind, Result};
use tokio::time::{Instant, sleep_until};

use super::activation::Activation;
use super::repeat::{Earlier, turn_id};
use super::woken::Woken;
use crate::agent::{Agent, Outcome};
use crate::emission::Emission;
use crate::patience::moment_after;
use crate::permits::{Gated, Waits};
use crate::stats::count;
use crate::turn::{DurableTurn, Turn, TurnContext};

/// A turn that ran to its end and has not committed.
pub(super) struct Handled<S> {
    pub(super) activation: Box<Activation<S>>,
    pub(super) ending: Ending,
    pub(super) outbox: Vec<AgentMessage>,
    /// The turn whose journal ends with its commit; `None` where it has none.
    pub(super) journaled: Option<TurnId>,
    pub(super) model_wait: Duration,
}

pub(super) enum Ending {
    Now(Outcome),
    /// An earlier turn handled the message.
    Recorded(Earlier),
}

impl Ending {
    pub(super) fn into_body(self) -> Option<Body> {
        match self {
            Self::Now(Outcome::Reply(body)) | Self::Recorded(Earlier { body, .. }) => Some(body),
            Self::Now(Outcome::Done) => None,
        }
    }
}

impl<S> Handled<S> {
    fn recorded(activation: Box<Activation<S>>, earlier: Earlier) -> Self {
        let ending = Ending::Recorded(earlier);
        Self { activation, ending, outbox: Vec::new(), journaled: None, model_wait: Duration::ZERO }
    }
}

impl<A: Agent> Woken<'_, A> {
    /// Handles a message until its deadline, or until its caller has gone.
    pub(super) async fn handle_in_time(
        &mut self,
        message: &AgentMessage,
        reply_to: &mut Option<ReplyTo>,
        emission: &Emission,
    ) -> Result<Handled<A::State>> {
        let runtime = &self.pool.runtime;
        if runtime.is_stopped() {
            return Err(stopped(message));
        }
        if reply_to.as_ref().is_some_and(ReplyTo::is_abandoned) {
            return Err(failed(message, ErrorKind::Cancelled));
        }
        runtime.observe(message.stamp);
        let ends = match message.deadline {
            None => None,
            Some(_) => {
                let left = message.time_left(runtime.clock.unix_micros(), runtime.config.turn_timeout)?;
                Some(moment_after(left))
            }
        };
        let waits = Waits::default();
        let mut handle = pin!(self.handle(message, ends, &waits, emission));
        // Most turns that wait for nothing end here, without a timer.
        if let Poll::Ready(handled) = futures::poll!(handle.as_mut()) {
            return handled;
        }
        let ends = ends.unwrap_or_else(|| moment_after(runtime.config.turn_timeout));
        // Boxed: the future of a turn is made for each, and most never come here.
        let cut_off = Box::pin(async {
            tokio::select! {
                biased;
                () = abandoned(reply_to) => failed(message, ErrorKind::Cancelled),
                () = sleep_until(ends) => failed(message, ErrorKind::DeadlineExceeded),
                () = runtime.stop.cancelled() => stopped(message),
            }
        });
        tokio::select! {
            biased;
            handled = handle => handled,
            error = cut_off => Err(error),
        }
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn keeps its arguments twice, and every turn makes one"
    )]
    fn handle<'t>(
        &'t mut self,
        message: &'t AgentMessage,
        ends: Option<Instant>,
        waits: &'t Waits,
        emission: &'t Emission,
    ) -> impl Future<Output = Result<Handled<A::State>>> + Send + 't {
        async move {
            let (pool, runtime) = (self.pool, &self.pool.runtime);
            let recalled = match pool.agent.recall(message) {
                None if self.activation.is_some() => Vec::new(),
                query => Box::pin(self.load(query, message)).await?,
            };
            let activation = self.activation.take();
            let mut activation = activation.ok_or_else(|| Error::new(ErrorKind::Internal, "load agent"))?;
            if runtime.store.is_some() {
                let kept = activation.kept.as_deref();
                if let Some(earlier) = Box::pin(self.earlier_result(kept, message)).await? {
                    return Ok(Handled::recorded(activation, earlier));
                }
            }
            let slot = &self.slot;
            let agent = (&slot.tenant, &pool.agent_type, &slot.key);
            let mut context = TurnContext::new(runtime, agent, message, waits, emission);
            context.recalled = &recalled;
            context.ends = ends;
            let Activation { state, kept } = &mut *activation;
            if let (Some(kept), Some(store)) = (kept, pool.store()) {
                let turn = turn_id(message);
                let journal = kept.journal.remove(&turn).unwrap_or_default();
                if !journal.is_empty() {
                    count(&runtime.counters.resumed);
                }
                let (thread, epoch, level) = (&kept.thread, kept.epoch, pool.options.durability);
                context.durable = Some(DurableTurn::new(store, thread, epoch, turn, journal, level));
            }
            let mut turn = Turn::new(state, &context);
            let handle = pool.agent.handle(&mut turn, message);
            let outcome = Gated::new(handle, &runtime.permits, waits, message.priority).await?;
            let journaled = context.journaled();
            let model_wait = context.model_wait();
            let outbox = context.into_outbox();
            Ok(Handled { activation, ending: Ending::Now(outcome), outbox, journaled, model_wait })
        }
    }

    /// Activates the agent, and looks beside it for what the turn recalls. An agent that is active stays so where the
    /// recall fails: its state was not touched.
    async fn load(&mut self, query: Option<KnowledgeQuery>, message: &AgentMessage) -> Result<Vec<Hit>> {
        let (pool, slot) = (self.pool, &self.slot);
        if let Some(query) = query.as_ref().filter(|query| query.tenant != message.tenant) {
            return Err(
                Error::new(ErrorKind::PermissionDenied, "recall").with_context("tenant", &query.tenant)
            );
        }
        let recall = async {
            let found: Result<Vec<Hit>> = match (query, &pool.runtime.knowledge) {
                (Some(query), Some(knowledge)) => knowledge.query(query).await.map(|it| it.hits),
                _ => Ok(Vec::new()),
            };
            found
        };
        if self.activation.is_some() {
            return recall.await;
        }
        let Some(store) = pool.store() else {
            self.activation = Some(pool.activate());
            return recall.await;
        };
        let claim = pool.claim(store, pool.agent_id(&slot.tenant, &slot.key));
        let (claimed, recalled) = futures::join!(claim, recall);
        self.activation = Some(claimed?);
        recalled
    }
}

fn failed(message: &AgentMessage, kind: ErrorKind) -> Error {
    Error::new(kind, "handle message").with_context("message", message.id)
}

fn stopped(message: &AgentMessage) -> Error {
    failed(message, ErrorKind::Unavailable).with_context("reason", "shutting down")
}

/// Ends when the caller has gone; never for what nobody waits for.
async fn abandoned(reply_to: &mut Option<ReplyTo>) {
    match reply_to {
        Some(reply_to) => reply_to.abandoned().await,
        None => std::future::pending().await,
    }
}
