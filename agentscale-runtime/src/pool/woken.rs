//! The task of a woken agent: turn after turn until its mailbox is empty.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use agentscale_core::knowledge::Hit;
use agentscale_core::transport::{Delivery, ReplyTo};
use agentscale_core::{AgentMessage, Body, Error, ErrorKind, IdempotencyKey, Result, Retry};
use futures::FutureExt;
use tokio::time::{Instant, sleep_until, timeout};

use super::activation::{Activation, Kept};
use super::slot::{Queued, Slot};
use super::{AgentPool, coarse_now};
use crate::agent::{Agent, Outcome};
use crate::permits::{Gated, Waits};
use crate::stats::count;
use crate::turn::{DurableTurn, Turn, TurnContext};
use agentscale_core::checkpoint::TurnId;

pub(super) struct Woken<A: Agent> {
    pub(super) pool: Arc<AgentPool<A>>,
    slot: Arc<Slot<A::State>>,
    /// `None` until the agent is active, while a turn runs, and after a turn that failed.
    pub(super) activation: Option<Box<Activation<A::State>>>,
    passive: bool,
}

/// A turn that ran to its end and has not committed.
pub(super) struct Handled<S> {
    pub(super) activation: Box<Activation<S>>,
    pub(super) ending: Ending,
    pub(super) outbox: Vec<AgentMessage>,
    pub(super) turn: Option<TurnId>,
    pub(super) model_wait: Duration,
}

pub(super) enum Ending {
    Now(Outcome),
    /// The result was recorded by an earlier turn.
    Recorded(Body),
}

impl<A: Agent> Woken<A> {
    pub(super) fn new(
        pool: Arc<AgentPool<A>>,
        slot: Arc<Slot<A::State>>,
        activation: Option<Box<Activation<A::State>>>,
    ) -> Self {
        Self { pool, slot, activation, passive: false }
    }

    pub(super) async fn run(mut self, first: Queued) {
        let mut next = Some(first);
        while let Some(queued) = next {
            self.turn(queued).await;
            tokio::task::coop::consume_budget().await;
            let now = coarse_now(&self.pool.runtime);
            next = self.slot.next(&mut self.activation, now);
        }
        self.passive = true;
    }

    async fn turn(&mut self, queued: Queued) {
        let Queued { mut delivery, admitted } = queued;
        let mut reply_to = delivery.take_reply_to();
        let attempt = AssertUnwindSafe(self.attempt(&delivery, &mut reply_to)).catch_unwind().await;
        let finished = attempt.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "handle message").with_context("reason", "panic"))
        });
        match finished {
            Ok((reply, outbox)) => {
                count(&self.pool.runtime.counters.turns);
                if let Some(reply_to) = reply_to {
                    // A caller that has gone misses its reply; a repeated request gets the recorded one.
                    reply_to.send(Ok(reply));
                }
                let id = delivery.message.id;
                delivery.ack();
                self.pool.runtime.outbox.leave(id, outbox, self.pool.store()).await;
            }
            Err(error) => self.failed(Queued { delivery, admitted }, reply_to, error).await,
        }
    }

    /// Runs and commits one turn.
    async fn attempt(
        &mut self,
        delivery: &Delivery,
        reply_to: &mut Option<ReplyTo>,
    ) -> Result<(AgentMessage, Vec<AgentMessage>)> {
        let began = self.pool.store().map(|_| Instant::now());
        let handled = self.handle_in_time(delivery, reply_to).await?;
        let model_wait = handled.model_wait;
        let message = &delivery.message;
        if let Ending::Recorded(body) = handled.ending {
            count(&self.pool.runtime.counters.replayed);
            self.activation = Some(handled.activation);
            return Ok((message.reply(body, self.pool.runtime.stamp()), Vec::new()));
        }
        let done = self.commit(message, handled).await?;
        if let Some(began) = began {
            let overhead = began.elapsed().saturating_sub(model_wait);
            self.pool.runtime.turn_overhead.record_duration(overhead);
        }
        Ok(done)
    }

    /// Handles a message until its deadline, or until its caller has gone.
    async fn handle_in_time(
        &mut self,
        delivery: &Delivery,
        reply_to: &mut Option<ReplyTo>,
    ) -> Result<Handled<A::State>> {
        let runtime = self.pool.runtime.clone();
        let message = &delivery.message;
        let failed = |kind| Error::new(kind, "handle message").with_context("message", message.id);
        if reply_to.as_ref().is_some_and(ReplyTo::is_abandoned) {
            return Err(failed(ErrorKind::Cancelled));
        }
        let ends = match message.deadline {
            None => None,
            Some(_) => Some(
                Instant::now()
                    + message.time_left(runtime.clock.unix_micros(), runtime.config.turn_timeout)?,
            ),
        };
        let waits = Waits::default();
        let mut handle = pin!(self.handle(delivery, ends, &waits));
        // Most turns that wait for nothing end here, without a timer.
        if let Poll::Ready(handled) = futures::poll!(handle.as_mut()) {
            return handled;
        }
        let ends = ends.unwrap_or_else(|| Instant::now() + runtime.config.turn_timeout);
        let abandoned = async {
            match reply_to {
                Some(reply_to) => reply_to.abandoned().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            handled = handle => handled,
            () = abandoned => Err(failed(ErrorKind::Cancelled)),
            () = sleep_until(ends) => Err(failed(ErrorKind::DeadlineExceeded)),
            () = runtime.stop.cancelled() => Err(failed(ErrorKind::Unavailable).with_context("reason", "shutting down")),
        }
    }

    async fn handle(
        &mut self,
        delivery: &Delivery,
        ends: Option<Instant>,
        waits: &Waits,
    ) -> Result<Handled<A::State>> {
        let (pool, slot, message) = (self.pool.clone(), self.slot.clone(), &delivery.message);
        let runtime = &pool.runtime;
        let (mut activation, recalled) = self.load(message).await?;
        let mut context =
            TurnContext::new(runtime, (&slot.tenant, &pool.agent_type, &slot.key), message, waits);
        context.recalled = &recalled;
        context.ends = ends;
        let Activation { state, kept } = &mut *activation;
        if let (Some(kept), Some(store)) = (kept, pool.store()) {
            let turn = turn_id(message);
            if let Some(body) = pool.recorded(kept, delivery, &turn).await? {
                drop(context);
                return Ok(Handled {
                    activation,
                    ending: Ending::Recorded(body),
                    outbox: Vec::new(),
                    turn: None,
                    model_wait: Duration::ZERO,
                });
            }
            pool.count_attempt(delivery).await?;
            let journal = kept.journal.remove(&turn).unwrap_or_default();
            if !journal.is_empty() {
                count(&runtime.counters.resumed);
            }
            let (thread, epoch, level) = (&kept.thread, kept.epoch, pool.options.durability);
            context.durable = Some(DurableTurn { store, thread, epoch, turn, journal, level });
        }
        let mut turn = Turn::new(state, &context);
        let handle = pool.agent.handle(&mut turn, message);
        let outcome = Gated::new(handle, &runtime.permits, waits, message.priority).await?;
        let turn = context.durable.as_ref().map(|durable| durable.turn.clone());
        let model_wait = context.model_wait();
        let outbox = context.into_outbox();
        Ok(Handled { activation, ending: Ending::Now(outcome), outbox, turn, model_wait })
    }

    /// The agent's activation, and beside it what the turn recalls.
    async fn load(&mut self, message: &AgentMessage) -> Result<(Box<Activation<A::State>>, Vec<Hit>)> {
        let recall = self.pool.agent.recall(message);
        let active = self.activation.take();
        let activate = async {
            match active {
                Some(active) => Ok(active),
                None => self.pool.activate(self.pool.agent_id(&self.slot.tenant, &self.slot.key)).await,
            }
        };
        let (Some(query), Some(knowledge)) = (recall, &self.pool.runtime.knowledge) else {
            return Ok((activate.await?, Vec::new()));
        };
        if query.tenant != message.tenant {
            return Err(
                Error::new(ErrorKind::PermissionDenied, "recall").with_context("tenant", &query.tenant)
            );
        }
        let (activation, found) = futures::try_join!(activate, knowledge.query(query))?;
        Ok((activation, found.hits))
    }
}

impl<A: Agent> AgentPool<A> {
    /// The result that an earlier turn recorded for this request.
    async fn recorded(&self, kept: &Kept, delivery: &Delivery, turn: &TurnId) -> Result<Option<Body>> {
        let message = &delivery.message;
        let can_repeat = message.idempotency_key.is_some() || self.is_redelivery(delivery);
        let (true, true, Some(store)) = (kept.has_history, can_repeat, self.store()) else { return Ok(None) };
        let key = IdempotencyKey::new(turn.0.clone())?;
        let asked = timeout(self.runtime.config.store_timeout, store.outcome(&kept.thread, &key)).await;
        let outcome =
            asked.map_err(|_| Error::new(ErrorKind::DeadlineExceeded, "look for recorded result"))??;
        let Some(outcome) = outcome else { return Ok(None) };
        if outcome.request_hash != request_hash(message)? {
            return Err(Error::new(ErrorKind::Conflict, "repeat request")
                .with_context("idempotency_key", key)
                .with_context("reason", "the key was used with another request"));
        }
        let body = outcome.reply.unwrap_or_else(|| bytes::Bytes::from_static(b"null"));
        Ok(Some(Body::encoded(agentscale_core::ContentType::JSON, body)))
    }

    /// Counts an attempt durably, but for the first one: a message that kills the process is counted too.
    async fn count_attempt(&self, delivery: &Delivery) -> Result<()> {
        let (true, Some(store)) = (self.is_redelivery(delivery), &self.runtime.store) else { return Ok(()) };
        let Some(recorded) = store.record_attempt(delivery.message.id).await? else { return Ok(()) };
        if recorded.attempts < self.runtime.config.supervision.max_attempts {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Internal, "handle message")
            .with_context("reason", "every attempt ended the process or failed")
            .with_context("attempts", recorded.attempts)
            .with_retry(Retry::Exhausted))
    }

    fn is_redelivery(&self, delivery: &Delivery) -> bool {
        delivery.attempt > 1 || delivery.message.stamp < self.runtime.started
    }
}

impl<A: Agent> Drop for Woken<A> {
    /// A task that did not come to its end: the tokio runtime is shutting down.
    fn drop(&mut self) {
        if self.passive {
            return;
        }
        for mut queued in self.slot.give_up() {
            queued.delivery.respond(Err(Error::new(ErrorKind::Unavailable, "handle message")));
        }
    }
}

pub(super) fn turn_id(message: &AgentMessage) -> TurnId {
    TurnId(message.idempotency_key.as_ref().map_or_else(|| message.id.to_string(), ToString::to_string))
}

/// What a repeated request must say again: its body and kind, not its deadline or stamp.
pub(super) fn request_hash(message: &AgentMessage) -> Result<[u8; 32]> {
    let (content_type, bytes) = message.raw_body().encode()?;
    Ok(*blake3::Hasher::new()
        .update(content_type.as_str().as_bytes())
        .update(&[0])
        .update(&bytes)
        .finalize()
        .as_bytes())
}
