//! The slots as atomics, and the line behind a lock that only those take who wait, or give to who waits.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::line::Line;
use super::{BulkheadConfig, BulkheadPermit};
use crate::time::Clock;

#[cfg(not(test))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

// The tests below decide at each of these which thread goes on.
#[cfg(test)]
use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

pub(super) struct Slots {
    all: usize,
    max_wait: Duration,
    free: AtomicUsize,
    /// As many as stand in the line; changed under its lock.
    waiting: AtomicUsize,
    line: Mutex<Line<oneshot::Sender<BulkheadPermit>>>,
    clock: Arc<dyn Clock>,
}

impl Slots {
    pub(super) fn new(config: &BulkheadConfig, clock: Arc<dyn Clock>) -> Self {
        let all = config.max_in_flight as usize;
        Self {
            all,
            max_wait: config.max_wait,
            free: AtomicUsize::new(all),
            waiting: AtomicUsize::new(0),
            line: Mutex::new(Line::new(config)),
            clock,
        }
    }

    /// Takes a slot that is free and that nobody waits for.
    #[inline]
    pub(super) fn try_take(&self) -> bool {
        self.waiting() == 0 && self.take()
    }

    #[inline]
    pub(super) fn release(self: &Arc<Self>) {
        self.free.fetch_add(1, Ordering::SeqCst);
        if self.waiting() > 0 {
            self.hand_on();
        }
    }

    /// A place in line, unless the line refuses.
    pub(super) fn stand_in_line(self: &Arc<Self>) -> Option<Ticket> {
        let (sender, receiver) = oneshot::channel();
        let now = self.clock.now();
        let mut line = self.lock();
        let number = line.enter(sender, now)?;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(line);
        let ticket = Ticket { slots: self.clone(), number, receiver };
        // A slot that came free before this call stood in line is handed on now.
        self.hand_on();
        Some(ticket)
    }

    pub(super) fn max_wait(&self) -> Duration {
        self.max_wait
    }

    pub(super) fn in_flight(&self) -> usize {
        self.all - self.free.load(Ordering::SeqCst)
    }

    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    #[inline]
    fn take(&self) -> bool {
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(1)).is_ok()
    }

    #[cold]
    fn hand_on(self: &Arc<Self>) {
        while self.waiting() > 0 && self.take() {
            let now = self.clock.now();
            let mut line = self.lock();
            let next = line.step(now);
            if next.is_some() {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
            }
            drop(line);
            match next {
                // If the call is gone its permit comes back, is dropped, and frees the slot for the next.
                Some(waiter) => drop(waiter.send(BulkheadPermit::of_taken(self))),
                // Another thread served the last in line. One that came since saw no free slot, so look again.
                None => {
                    self.free.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }

    fn leave(&self, number: u64) {
        if self.lock().leave(number) {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line<oneshot::Sender<BulkheadPermit>>> {
        // No event panics half-way, so a poisoned line is a whole one.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("all", &self.all)
            .field("in_flight", &self.in_flight())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// A place in line: a future of the permit.
#[derive(Debug)]
pub(super) struct Ticket {
    slots: Arc<Slots>,
    number: u64,
    receiver: oneshot::Receiver<BulkheadPermit>,
}

impl Future for Ticket {
    type Output = BulkheadPermit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<BulkheadPermit> {
        Pin::new(&mut self.receiver).poll(context).map(|permit| {
            permit.expect("the sender stands in line until it sends; the ticket keeps the line alive")
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.slots.leave(self.number);
    }
}

#[cfg(test)]
mod tests;
