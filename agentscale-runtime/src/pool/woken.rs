//! A woken agent: turn after turn until its mailbox is empty.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use agentscale_core::transport::ReplyTo;
use agentscale_core::{AgentMessage, Body, Error, ErrorKind, Result};
use tokio::time::Instant;

use super::activation::Activation;
use super::crew::Place;
use super::handle::{Ending, Handled};
use super::later::Later;
use super::repeat::{Earlier, Unsure};
use super::slot::{Queued, Slot};
use super::worker::Wake;
use super::{AgentPool, coarse_now};
use crate::agent::Agent;
use crate::emission::Emission;
use crate::stats::count;

/// How many turns an agent has in a row while others wait for its worker.
const TURNS_IN_A_ROW: usize = 32;

pub(super) struct Woken<'a, A: Agent> {
    pub(super) pool: &'a Arc<AgentPool<A>>,
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
    /// `None` says nothing.
    pub(super) body: Option<Body>,
    /// What leaves now.
    pub(super) outbox: Vec<AgentMessage>,
    /// Whether the handled message is settled.
    pub(super) settled: bool,
    /// What all of that waits for.
    pub(super) later: Option<Box<Later>>,
}

impl<'a, A: Agent> Woken<'a, A> {
    pub(super) fn new(
        pool: &'a Arc<AgentPool<A>>,
        slot: Arc<Slot<A::State>>,
        activation: Option<Box<Activation<A::State>>>,
    ) -> Self {
        Self { pool, slot, activation, attempt: 1, unsure: None, passive: false }
    }

    /// Runs the agent until its mailbox is empty, or for as long as those who wait for the worker can bear.
    pub(super) async fn run(mut self, first: Queued, place: &mut Place<'_, Wake<A::State>>) {
        let mut next = Some(first);
        let mut turns = 0;
        while let Some(queued) = next {
            self.turn(queued, place).await;
            tokio::task::coop::consume_budget().await;
            next = self.next();
            turns += 1;
            if turns % TURNS_IN_A_ROW == 0
                && place.is_awaited()
                && let Some(first) = next.take()
            {
                self.wait_in_line(first);
            }
        }
    }

    /// Ends what was one turn: what else is in the mailbox is left to the workers.
    pub(super) fn rest(mut self) {
        if let Some(first) = self.next() {
            self.wait_in_line(first);
        }
    }

    fn next(&mut self) -> Option<Queued> {
        let next = self.slot.next(&mut self.activation, coarse_now(&self.pool.runtime));
        self.passive = next.is_none();
        next
    }

    fn wait_in_line(&mut self, first: Queued) {
        self.passive = true;
        let (slot, activation) = (self.slot.clone(), self.activation.take());
        self.pool.wake(Wake { slot, activation, first });
    }

    /// Runs a turn and does what follows from it.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn keeps its arguments twice, and every turn makes one"
    )]
    pub(super) fn turn<'t>(
        &'t mut self,
        mut queued: Queued,
        place: &'t mut Place<'_, Wake<A::State>>,
    ) -> impl Future<Output = ()> + Send + 't {
        async move {
            let (pool, runtime) = (self.pool, &self.pool.runtime);
            (self.attempt, self.unsure) = (queued.delivery.attempt, queued.unsure.take());
            let mut reply_to = queued.delivery.take_reply_to();
            let finished = {
                let attempt = pin!(self.attempt(&queued.delivery.message, &mut reply_to, &queued.emission));
                InPlace { turn: attempt, pool, place, has_begun: false }.await
            };
            match finished {
                Ok(mut done) if done.later.is_some() => {
                    if let Some(later) = done.later.take() {
                        pool.leave_later(queued, reply_to, done, *later);
                    }
                }
                Ok(Done { body, outbox, settled, .. }) => {
                    let message = &queued.delivery.message;
                    if let Some(reply_to) = reply_to {
                        // A caller that has gone misses its reply; a repeated request gets the recorded one.
                        let body = body.unwrap_or_else(Body::empty);
                        reply_to.send(Ok(message.reply(body, runtime.stamp())));
                    }
                    let committed = pool.store().is_some();
                    if runtime.store.is_some() || !outbox.is_empty() {
                        Box::pin(runtime.outbox.leave(message.id, settled, outbox, committed)).await;
                    }
                    queued.emission.end(None);
                    pool.observe_turn(message);
                    queued.delivery.ack();
                }
                Err(error) => {
                    queued.delivery.attempt = self.attempt;
                    queued.unsure = self.unsure.take();
                    Box::pin(pool.failed(queued, reply_to, error)).await;
                }
            }
        }
    }

    /// Runs and commits one turn.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn keeps its arguments twice, and every turn makes one"
    )]
    fn attempt<'t>(
        &'t mut self,
        message: &'t AgentMessage,
        reply_to: &'t mut Option<ReplyTo>,
        emission: &'t Emission,
    ) -> impl Future<Output = Result<Done>> + Send + 't {
        async move {
            let pool = self.pool;
            let began = pool.store().map(|_| Instant::now());
            let handled = self.handle_in_time(message, reply_to, emission).await?;
            let model_wait = handled.model_wait;
            if let Ending::Recorded(Earlier { body, is_settled }) = handled.ending {
                count(&pool.runtime.counters.replayed);
                self.activation = Some(handled.activation);
                return Ok(Done { body: Some(body), outbox: Vec::new(), settled: is_settled, later: None });
            }
            let done = if handled.activation.kept.is_some() {
                Box::pin(self.commit(message, handled)).await?
            } else {
                let Handled { activation, ending, outbox, .. } = handled;
                self.activation = Some(activation);
                Done { body: ending.into_body(), outbox, settled: false, later: None }
            };
            count(&pool.runtime.counters.turns);
            if let Some(began) = began {
                let overhead = began.elapsed().saturating_sub(model_wait);
                pool.runtime.turn_overhead.record_duration(overhead);
            }
            Ok(done)
        }
    }
}

/// A turn in a worker's hands: it survives a panic, it is measured until it first waits, and once it does, the
/// worker's place goes to another.
struct InPlace<'a, 'c, A: Agent, F> {
    turn: Pin<&'a mut F>,
    pool: &'a Arc<AgentPool<A>>,
    place: &'a mut Place<'c, Wake<A::State>>,
    has_begun: bool,
}

impl<A: Agent, F: Future<Output = Result<Done>>> InPlace<'_, '_, A, F> {
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Result<Done>> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.turn.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::Internal, "handle message").with_context("reason", "panic");
            Poll::Ready(Err(error))
        })
    }
}

impl<A: Agent, F: Future<Output = Result<Done>>> Future for InPlace<'_, '_, A, F> {
    type Output = Result<Done>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Done>> {
        if std::mem::replace(&mut self.has_begun, true) {
            return self.poll_turn(context);
        }
        let pool = self.pool;
        let began = pool.crew.pace.measures().then(Instant::now);
        let finished = self.poll_turn(context);
        if let Some(began) = began {
            pool.crew.pace.record(began.elapsed());
        }
        // One who has just shown that the pool is slow is followed by turns as long.
        if (finished.is_pending() || !pool.crew.pace.is_quick())
            && let Some(home) = self.place.leave()
        {
            pool.start_worker(home);
        }
        finished
    }
}

impl<A: Agent> Drop for Woken<'_, A> {
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
