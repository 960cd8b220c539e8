//! Who runs woken agents. Workers take them from a queue of the thread that woke them, so that what was made on a thread
//! is mostly used there, and from the other queues once that one is empty. A worker whose turn has to wait stays with its
//! agent, as that agent's task, and another takes its place at the front of the queue. So a turn that waits for nothing
//! costs no task, and one that waits holds nobody up.
//!
//! In a pool whose turns run long before they first wait, a worker leaves the front before it begins: every woken agent
//! has a task of its own at once, and tokio's scheduler spreads them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::iter::repeat_n;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

#[cfg(test)]
use shuttle::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};

use super::pace::Pace;

/// How many agents of a quick pool wait for one worker before another comes.
const BACKLOG: usize = 32;

pub(super) struct Crew<W> {
    pub(super) pace: Pace,
    /// A queue for each thread of tokio.
    fronts: Box<[Mutex<Front<W>>]>,
}

/// Names the queue at whose front a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home(usize);

struct Front<W> {
    ready: VecDeque<W>,
    /// Workers that are about to take an agent, or run one that has not waited yet.
    workers: usize,
    /// One worker rests when there is nothing to do. It is called by removing it here.
    resting: Option<Resting>,
    rested: u64,
    is_closed: bool,
    taken: u64,
    taken_before: u64,
}

/// Names one rest of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket(u64);

struct Resting {
    ticket: Ticket,
    waker: Waker,
}

impl<W> Crew<W> {
    pub(super) fn new(threads: usize) -> Self {
        let front = || Front {
            ready: VecDeque::new(),
            workers: 0,
            resting: None,
            rested: 0,
            is_closed: false,
            taken: 0,
            taken_before: 0,
        };
        Self { pace: Pace::default(), fronts: (0..threads).map(|_| Mutex::new(front())).collect() }
    }

    /// Queues a woken agent; names the queue where the caller starts another worker.
    #[must_use]
    pub(super) fn queue(&self, wake: W) -> Option<Home> {
        self.queue_at(Home(this_thread() % self.fronts.len()), wake)
    }

    fn queue_at(&self, home: Home, wake: W) -> Option<Home> {
        let mut front = self.lock(home);
        front.ready.push_back(wake);
        self.call_worker(home, front)
    }

    /// Where to start workers because those at the front have taken nobody since the last call: code that blocks
    /// holds them.
    pub(super) fn relieve(&self) -> Vec<Home> {
        let mut wanted = Vec::new();
        for home in self.homes() {
            let mut front = self.lock(home);
            if !front.ready.is_empty() && front.taken == front.taken_before {
                let more = front.ready.len().min(BACKLOG);
                front.workers += more;
                wanted.extend(repeat_n(home, more));
            }
            front.taken_before = front.taken;
        }
        wanted
    }

    /// Lets the resting workers go, and none rest any more.
    pub(super) fn close(&self) {
        for home in self.homes() {
            let mut front = self.lock(home);
            front.is_closed = true;
            let waker = front.resting.as_ref().map(|resting| resting.waker.clone());
            drop(front);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Calls the resting worker to the front if one is wanted there; else says where the caller starts one.
    fn call_worker(&self, home: Home, mut front: MutexGuard<'_, Front<W>>) -> Option<Home> {
        let waiting = front.ready.len();
        let wanted = if self.pace.is_quick() { waiting.div_ceil(BACKLOG) } else { waiting };
        if front.workers >= wanted.min(self.most()) {
            return None;
        }
        front.workers += 1;
        let Some(resting) = front.resting.take() else { return Some(home) };
        drop(front);
        resting.waker.wake();
        None
    }

    /// How many workers stand at a front at once.
    fn most(&self) -> usize {
        if self.pace.is_quick() { self.fronts.len() } else { usize::MAX }
    }

    fn homes(&self) -> impl Iterator<Item = Home> {
        (0..self.fronts.len()).map(Home)
    }

    fn lock(&self, home: Home) -> MutexGuard<'_, Front<W>> {
        self.fronts[home.0].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> Front<W> {
    fn pop(&mut self) -> Option<W> {
        let next = self.ready.pop_front();
        self.taken += u64::from(next.is_some());
        next
    }
}

/// A number for this thread; those of threads that were started together follow each other.
fn this_thread() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.get().unwrap_or_else(|| {
        let number = THREADS.fetch_add(1, Ordering::Relaxed);
        NUMBER.set(Some(number));
        number
    })
}

/// A worker's place at the front of a queue, which it leaves and finds again.
pub(super) struct Place<'a, W> {
    crew: &'a Crew<W>,
    home: Home,
    at: At,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Front,
    Aside,
    Rest(Ticket),
}

impl<'a, W> Place<'a, W> {
    /// The place of a worker that was asked for.
    pub(super) fn at_front(crew: &'a Crew<W>, home: Home) -> Self {
        Self { crew, home, at: At::Front }
    }

    /// The place of who runs one agent and takes no other.
    pub(super) fn aside(crew: &'a Crew<W>) -> Self {
        Self { crew, home: Home(0), at: At::Aside }
    }

    /// The next agent: of this worker's own queue, if there is room at its front, else of another one.
    pub(super) fn take(&mut self) -> Option<W> {
        let own = self.take_from(&mut self.crew.lock(self.home));
        own.or_else(|| self.take_elsewhere())
    }

    /// Waits for the next agent. `None` where another worker rests already: this one is done.
    pub(super) async fn rest(&mut self) -> Option<W> {
        poll_fn(|context| self.poll_rest(context)).await
    }

    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Option<W>> {
        let mut front = self.crew.lock(self.home);
        self.wake_up(&mut front);
        let next = self.take_from(&mut front);
        if next.is_some() {
            return Poll::Ready(next);
        }
        self.step_out(&mut front);
        if front.is_closed || front.resting.is_some() {
            return Poll::Ready(None);
        }
        front.rested += 1;
        let ticket = Ticket(front.rested);
        front.resting = Some(Resting { ticket, waker: context.waker().clone() });
        self.at = At::Rest(ticket);
        Poll::Pending
    }

    /// A worker that rested stands at the front if it was called, and aside if it woke by itself.
    fn wake_up(&mut self, front: &mut Front<W>) {
        let At::Rest(ticket) = self.at else { return };
        self.at = match front.resting.take_if(|resting| resting.ticket == ticket) {
            Some(_) => At::Aside,
            None => At::Front,
        };
    }

    fn take_from(&mut self, front: &mut Front<W>) -> Option<W> {
        if front.ready.is_empty() {
            return None;
        }
        if self.at != At::Front {
            if front.workers >= self.crew.most() {
                return None;
            }
            front.workers += 1;
            self.at = At::Front;
        }
        front.pop()
    }

    /// From a queue that is longer than its own workers soon take. In a slow pool each who waits has a worker on its way.
    fn take_elsewhere(&self) -> Option<W> {
        if !self.crew.pace.is_quick() {
            return None;
        }
        self.crew.homes().filter(|home| *home != self.home).find_map(|home| {
            let mut front = self.crew.lock(home);
            if front.ready.len() > BACKLOG { front.pop() } else { None }
        })
    }

    /// The worker is about to run an agent's turns; in a slow pool it leaves before.
    #[must_use]
    pub(super) fn begin(&mut self) -> Option<Home> {
        if self.crew.pace.is_quick() { None } else { self.leave() }
    }

    /// The worker stays with an agent that waits; names the queue where it starts another one.
    #[must_use]
    pub(super) fn leave(&mut self) -> Option<Home> {
        if self.at != At::Front {
            return None;
        }
        let mut front = self.crew.lock(self.home);
        self.step_out(&mut front);
        self.crew.call_worker(self.home, front)
    }

    /// Whether others wait for this worker.
    pub(super) fn is_awaited(&self) -> bool {
        self.at == At::Front && !self.crew.lock(self.home).ready.is_empty()
    }

    fn step_out(&mut self, front: &mut Front<W>) {
        if std::mem::replace(&mut self.at, At::Aside) == At::Front {
            front.workers -= 1;
        }
    }
}

impl<W> Drop for Place<'_, W> {
    /// A worker that has not come to its end: tokio is shutting down. The last one takes with it who waits for it.
    fn drop(&mut self) {
        if self.at == At::Aside {
            return;
        }
        let mut front = self.crew.lock(self.home);
        self.wake_up(&mut front);
        self.step_out(&mut front);
        let left = if front.workers == 0 { std::mem::take(&mut front.ready) } else { VecDeque::new() };
        drop(front);
        drop(left);
    }
}

#[cfg(test)]
mod tests;
