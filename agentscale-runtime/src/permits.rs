//! Permits of executing turns. A turn holds one only while it runs: where it waits for the SDK, it gives it back.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use agentscale_core::Priority;
use tokio::sync::oneshot;

#[cfg(not(test))]
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

// The tests below decide at each of these which thread goes on.
#[cfg(test)]
use shuttle::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Resumed turns, then new ones by priority.
const CLASSES: usize = 7;
const RESUMED: usize = 0;

#[derive(Debug)]
pub(crate) struct Permits {
    free: AtomicUsize,
    waiting: AtomicUsize,
    queues: Mutex<[VecDeque<oneshot::Sender<Permit>>; CLASSES]>,
}

/// A permit on its way to who waits for it.
#[derive(Debug)]
struct Permit(Option<Arc<Permits>>);

impl Permits {
    pub(crate) fn new(turns: usize) -> Self {
        Self { free: AtomicUsize::new(turns), waiting: AtomicUsize::new(0), queues: Mutex::default() }
    }

    /// Takes a permit that is free and that nobody waits for; it goes back by [`release`](Self::release).
    fn try_acquire(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0 && self.take()
    }

    fn release(self: &Arc<Self>) {
        self.free.fetch_add(1, Ordering::SeqCst);
        self.hand_on();
    }

    fn take(&self) -> bool {
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(1)).is_ok()
    }

    fn enqueue(self: &Arc<Self>, class: usize) -> oneshot::Receiver<Permit> {
        let (sender, receiver) = oneshot::channel();
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = &mut queues[class];
        if queue.len() == queue.capacity() {
            // Who has gone makes room before the queue grows.
            let all = queue.len();
            queue.retain(|waiter| !waiter.is_closed());
            self.waiting.fetch_sub(all - queue.len(), Ordering::SeqCst);
        }
        queue.push_back(sender);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(queues);
        // A permit that came back before this waiter stood in the queue is handed on now.
        self.hand_on();
        receiver
    }

    fn hand_on(self: &Arc<Self>) {
        while self.waiting.load(Ordering::SeqCst) > 0 && self.take() {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            let next = queues.iter_mut().find_map(VecDeque::pop_front);
            if next.is_some() {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
            }
            drop(queues);
            match next.map(|waiter| waiter.send(Permit(Some(self.clone())))) {
                Some(Ok(())) => {}
                Some(Err(mut unwanted)) => {
                    unwanted.0 = None;
                    self.free.fetch_add(1, Ordering::SeqCst);
                }
                // Another thread served that waiter. One that came since saw no free permit, so look again.
                None => {
                    self.free.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(permits) = self.0.take() {
            permits.release();
        }
    }
}

/// How many SDK waits a turn is in.
#[derive(Debug, Default)]
pub(crate) struct Waits(AtomicUsize);

impl Waits {
    /// Counts a wait until the guard is dropped.
    pub(crate) fn enter(&self) -> Waiting<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a Waits);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Polls a turn only while it holds a permit, and gives the permit back while the turn waits for the SDK.
#[derive(Debug)]
pub(crate) struct Gated<'a, F> {
    turn: F,
    permits: &'a Arc<Permits>,
    waits: &'a Waits,
    holds: bool,
    asked: Option<oneshot::Receiver<Permit>>,
    class: usize,
}

impl<'a, F> Gated<'a, F> {
    pub(crate) fn new(turn: F, permits: &'a Arc<Permits>, waits: &'a Waits, priority: Priority) -> Self {
        Self { turn, permits, waits, holds: false, asked: None, class: 1 + priority as usize }
    }

    fn give_back(&mut self) {
        if std::mem::take(&mut self.holds) {
            self.permits.release();
        }
    }

    fn poll_permit(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.holds || (self.asked.is_none() && self.permits.try_acquire()) {
            self.holds = true;
            return Poll::Ready(());
        }
        let asked = self.asked.get_or_insert_with(|| self.permits.enqueue(self.class));
        match Pin::new(asked).poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(permit) => {
                self.asked = None;
                // The sender lives in the queue until it sends, and the queue lives as long as `permits`.
                self.holds = permit.is_ok_and(|mut permit| permit.0.take().is_some());
                Poll::Ready(())
            }
        }
    }
}

impl<F: Future + Unpin> Future for Gated<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.poll_permit(context).is_pending() {
            return Poll::Pending;
        }
        let output = Pin::new(&mut self.turn).poll(context);
        if output.is_ready() || self.waits.any() {
            self.class = RESUMED;
            self.give_back();
        }
        output
    }
}

impl<F> Drop for Gated<'_, F> {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests;
