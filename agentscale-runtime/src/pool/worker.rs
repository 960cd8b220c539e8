//! Where woken agents run: in a worker's task, or on the thread of who asks.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::FutureExt;

use super::AgentPool;
use super::activation::Activation;
use super::crew::{Home, Place};
use super::slot::{Queued, Slot};
use super::woken::Woken;
use crate::agent::Agent;

/// A woken agent that nobody runs yet.
pub(super) struct Wake<S> {
    pub(super) slot: Arc<Slot<S>>,
    pub(super) activation: Option<Box<Activation<S>>>,
    pub(super) first: Queued,
}

/// How deep turns that ask stand on one thread's stack.
const MAX_NESTED: u8 = 3;

impl<A: Agent> AgentPool<A> {
    /// Gives a woken agent to the workers.
    pub(super) fn wake(self: &Arc<Self>, wake: Wake<A::State>) {
        if let Some(home) = self.crew.queue(wake) {
            self.start_worker(home);
        }
    }

    /// Starts a worker that the crew has counted.
    pub(super) fn start_worker(self: &Arc<Self>, home: Home) {
        let worker = Worker { pool: self.clone(), home, has_begun: false };
        self.runtime.tasks.spawn_on(worker.run(), &self.runtime.tokio);
    }

    fn tell_of_panic(&self) {
        tracing::error!(agent_type = %self.agent_type, "panic outside of a turn");
    }

    /// Begins a turn on the thread of its caller, who waits for it anyway; it goes on in a task of its own if it has
    /// to wait. Where turns run long, other work of that thread would stand behind it, so a worker takes it.
    pub(super) fn run_here(self: &Arc<Self>, wake: Wake<A::State>) {
        let (true, Some(_nested)) = (self.crew.pace.is_quick(), Nested::enter()) else {
            return self.wake(wake);
        };
        let pool = self.clone();
        let Wake { slot, activation, first } = wake;
        let mut turn = Box::pin(async move {
            let mut woken = Woken::new(&pool, slot, activation);
            woken.turn(first, &mut Place::aside(&pool.crew)).await;
            woken.rest();
        });
        let tokio = self.runtime.tokio.enter();
        let mut context = Context::from_waker(Waker::noop());
        let first_stretch = catch_unwind(AssertUnwindSafe(|| turn.as_mut().poll(&mut context)));
        drop(tokio);
        match first_stretch {
            Ok(Poll::Ready(())) => {}
            // Polled again at once, with the task's waker.
            Ok(Poll::Pending) => drop(self.runtime.tasks.spawn_on(turn, &self.runtime.tokio)),
            Err(_) => self.tell_of_panic(),
        }
    }
}

/// A worker before it is at work. Where tokio is shutting down it never is, and gives its place back.
struct Worker<A: Agent> {
    pool: Arc<AgentPool<A>>,
    home: Home,
    has_begun: bool,
}

impl<A: Agent> Worker<A> {
    async fn run(mut self) {
        self.has_begun = true;
        let pool = &self.pool;
        let mut place = Place::at_front(&pool.crew, self.home);
        loop {
            let next = match place.take() {
                None => place.rest().await,
                next => next,
            };
            let Some(Wake { slot, activation, first }) = next else { return };
            if let Some(home) = place.begin() {
                pool.start_worker(home);
            }
            let run = pin!(Woken::new(pool, slot, activation).run(first, &mut place));
            if AssertUnwindSafe(run).catch_unwind().await.is_err() {
                pool.tell_of_panic();
            }
        }
    }
}

impl<A: Agent> Drop for Worker<A> {
    fn drop(&mut self) {
        if !self.has_begun {
            drop(Place::at_front(&self.pool.crew, self.home));
        }
    }
}

/// Counts the turns on this thread's stack.
struct Nested;

thread_local! {
    static NESTED: Cell<u8> = const { Cell::new(0) };
}

impl Nested {
    fn enter() -> Option<Self> {
        let depth = NESTED.get();
        (depth < MAX_NESTED).then(|| {
            NESTED.set(depth + 1);
            Self
        })
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        NESTED.set(NESTED.get() - 1);
    }
}
