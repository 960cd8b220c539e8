//! The task of a woken agent: turn after turn until its mailbox is empty.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use agentscale_core::transport::{Delivery, ReplyTo};
use agentscale_core::{AgentMessage, Body, Error, ErrorKind, Result};
use futures::FutureExt;
use tokio::time::Instant;

use super::activation::Activation;
use super::handle::Ending;
use super::repeat::Unsure;
use super::slot::{Queued, Slot};
use super::{AgentPool, coarse_now};
use crate::agent::Agent;
use crate::stats::count;

pub(super) struct Woken<A: Agent> {
    pub(super) pool: Arc<AgentPool<A>>,
    pub(super) slot: Arc<Slot<A::State>>,
    /// `None` until the agent is active, while a turn runs, and after a turn that failed.
    pub(super) activation: Option<Box<Activation<A::State>>>,
    /// Of the message that is handled: how often it was delivered.
    pub(super) attempt: u32,
    /// Of the message that is handled: a commit whose answer was lost.
    pub(super) unsure: Option<Box<Unsure>>,
    passive: bool,
}

/// A turn that ended well.
pub(super) struct Done {
    pub(super) body: Body,
    /// What leaves now.
    pub(super) outbox: Vec<AgentMessage>,
    /// Whether the handled message is settled.
    pub(super) settled: bool,
}

impl<A: Agent> Woken<A> {
    pub(super) fn new(
        pool: Arc<AgentPool<A>>,
        slot: Arc<Slot<A::State>>,
        activation: Option<Box<Activation<A::State>>>,
    ) -> Self {
        Self { pool, slot, activation, attempt: 1, unsure: None, passive: false }
    }

    pub(super) async fn run(mut self, first: Queued) {
        let was_active = self.activation.is_some();
        let mut next = Some(first);
        while let Some(queued) = next {
            self.turn(queued).await;
            tokio::task::coop::consume_budget().await;
            next = self.slot.pop();
            if next.is_none() && was_active {
                // Who was just answered often has the next message at hand: one more poll costs less than a task.
                let_others_run().await;
            }
            if next.is_none() {
                let now = coarse_now(&self.pool.runtime);
                next = self.slot.next(&mut self.activation, now);
            }
        }
        self.passive = true;
    }

    async fn turn(&mut self, queued: Queued) {
        let Queued { mut delivery, admitted, unsure } = queued;
        (self.attempt, self.unsure) = (delivery.attempt, unsure);
        let mut reply_to = delivery.take_reply_to();
        let attempt = AssertUnwindSafe(self.attempt(&delivery, &mut reply_to)).catch_unwind().await;
        let finished = attempt.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "handle message").with_context("reason", "panic"))
        });
        match finished {
            Ok(Done { body, outbox, settled }) => {
                let runtime = &self.pool.runtime;
                if let Some(reply_to) = reply_to {
                    // A caller that has gone misses its reply; a repeated request gets the recorded one.
                    reply_to.send(Ok(delivery.message.reply(body, runtime.stamp())));
                }
                let committed = self.pool.store().is_some();
                if runtime.store.is_some() || !outbox.is_empty() {
                    let id = delivery.message.id;
                    Box::pin(runtime.outbox.leave(id, settled, outbox, committed)).await;
                }
                self.pool.observe_turn(&delivery.message);
                delivery.ack();
            }
            Err(error) => {
                delivery.attempt = self.attempt;
                let unsure = self.unsure.take();
                Box::pin(self.failed(Queued { delivery, admitted, unsure }, reply_to, error)).await;
            }
        }
    }

    /// Runs and commits one turn.
    async fn attempt(&mut self, delivery: &Delivery, reply_to: &mut Option<ReplyTo>) -> Result<Done> {
        let began = self.pool.store().map(|_| Instant::now());
        let handled = self.handle_in_time(&delivery.message, reply_to).await?;
        let model_wait = handled.model_wait;
        let message = &delivery.message;
        if let Ending::Recorded(body) = handled.ending {
            count(&self.pool.runtime.counters.replayed);
            self.activation = Some(handled.activation);
            return Ok(Done { body, outbox: Vec::new(), settled: false });
        }
        let done = self.commit(message, handled).await?;
        count(&self.pool.runtime.counters.turns);
        if let Some(began) = began {
            let overhead = began.elapsed().saturating_sub(model_wait);
            self.pool.runtime.turn_overhead.record_duration(overhead);
        }
        Ok(done)
    }
}

impl<A: Agent> Drop for Woken<A> {
    /// A task that did not come to its end: the tokio runtime is shutting down, or code of the host panicked where
    /// no turn runs, such as a state's `drop`.
    fn drop(&mut self) {
        if self.passive {
            return;
        }
        let outbox = &self.pool.runtime.outbox;
        for mut queued in self.slot.give_up() {
            let id = queued.delivery.message.id;
            if queued.delivery.wants_reply() {
                queued.delivery.respond(Err(Error::new(ErrorKind::Unavailable, "handle message")));
            } else if outbox.holds(id) {
                outbox.leave_behind(&[id]);
            } else {
                count(&self.pool.runtime.counters.undeliverable);
            }
        }
    }
}

/// Ends when the tasks that are ready now had their turn. Unlike tokio's `yield_now` it does not make an idle thread
/// look for I/O, which would cost more than what it saves.
async fn let_others_run() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
