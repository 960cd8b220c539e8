//! Deliveries that wait for their acknowledgement, and the dead letters that they may become.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::DirectTransportConfig;
use super::group::GroupName;
use super::stats::Counters;
use crate::transport::{Acknowledge, Delivery};
use crate::{AgentMessage, Error, ErrorKind, Result};

mod pending;
mod sweeper;

use pending::{Entry, Pending, Turn};
pub(super) use sweeper::Sweeper;

#[derive(Debug)]
pub(super) struct Redelivery {
    pub(super) counters: Counters,
    max_deliveries: u32,
    ack_wait: Duration,
    keep: usize,
    pending: Mutex<Pending>,
    /// Wakes the sweeper for something due before what it waits for.
    sooner: Notify,
    dead: Mutex<VecDeque<(AgentMessage, Error)>>,
}

impl Redelivery {
    pub(super) fn new(config: &DirectTransportConfig) -> Self {
        Self {
            counters: Counters::default(),
            max_deliveries: config.max_deliveries.max(1),
            ack_wait: config.ack_wait,
            keep: config.dead_letters,
            pending: Mutex::new(Pending::new(config.unacknowledged)),
            sooner: Notify::new(),
            dead: Mutex::default(),
        }
    }

    pub(super) fn dead_letters(&self) -> Vec<(AgentMessage, Error)> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Makes a first delivery one that comes again until its receiver says how it went.
    pub(super) fn watch(self: &Arc<Self>, delivery: Delivery, group: &GroupName) -> Result<(Delivery, Turn)> {
        let entry = Entry {
            message: AgentMessage::clone(&delivery.message),
            bytes: delivery.size_hint(),
            group: group.clone(),
            attempt: delivery.attempt,
            due: after(self.ack_wait),
            fault: None,
        };
        let turn = self.change(|pending| pending.insert(entry))?;
        Ok((delivery.with_acknowledge(Says::about(self, turn), turn.attempt), turn))
    }

    /// Ends the watch over a delivery that no inbox took.
    pub(super) fn forget(&self, turn: Turn) {
        self.pending().remove(turn.id);
    }

    fn reschedule(&self, turn: Turn, wait: Duration, fault: Option<Error>) {
        self.change(|pending| pending.reschedule(turn, after(wait), fault));
    }

    fn bury(&self, message: AgentMessage, cause: Error) {
        self.counters.dead_lettered.fetch_add(1, Ordering::Relaxed);
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if dead.len() >= self.keep {
            dead.pop_front();
        }
        if self.keep > 0 {
            dead.push_back((message, cause));
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Pending) -> T) -> T {
        let mut pending = self.pending();
        let changed = change(&mut pending);
        let sooner = pending.due_before_wake();
        drop(pending);
        if sooner {
            self.sooner.notify_one();
        }
        changed
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the receiver of one turn says. A late `ack` of an earlier turn counts: the message was handled.
struct Says {
    redelivery: Arc<Redelivery>,
    turn: Turn,
    settled: bool,
}

impl Says {
    fn about(redelivery: &Arc<Redelivery>, turn: Turn) -> Box<Self> {
        Box::new(Self { redelivery: redelivery.clone(), turn, settled: false })
    }
}

impl Acknowledge for Says {
    fn ack(mut self: Box<Self>) {
        self.settled = true;
        self.redelivery.pending().remove(self.turn.id);
    }

    fn nak(mut self: Box<Self>, delay: Duration) {
        self.settled = true;
        self.redelivery.reschedule(self.turn, delay, Some(fault("given back")));
    }

    fn in_progress(&self) {
        self.redelivery.reschedule(self.turn, self.redelivery.ack_wait, None);
    }

    fn dead_letter(mut self: Box<Self>, cause: Error) {
        self.settled = true;
        let entry = self.redelivery.pending().remove(self.turn.id);
        if let Some(entry) = entry {
            self.redelivery.bury(entry.message, cause);
        }
    }
}

impl Drop for Says {
    fn drop(&mut self) {
        if !self.settled {
            self.redelivery.reschedule(self.turn, Duration::ZERO, Some(fault("dropped")));
        }
    }
}

fn fault(reason: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, "deliver message").with_context("reason", reason)
}

/// A wait too long for the clock ends in thirty years.
fn after(wait: Duration) -> Instant {
    const LONG: Duration = Duration::from_secs(30 * 365 * 86_400);
    Instant::now() + wait.min(LONG)
}
