//! Deliveries that wait for their acknowledgement, and the dead letters that they may become.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::routes::Group;
use super::stats::Counters;
use super::{DirectTransportConfig, TransportStats};
use crate::transport::{Acknowledge, Delivery};
use crate::{AgentMessage, Error, ErrorKind};

#[derive(Debug)]
pub(super) struct Redelivery {
    max_deliveries: u32,
    ack_wait: Duration,
    keep: usize,
    counters: Counters,
    dead: Mutex<VecDeque<(AgentMessage, Error)>>,
}

impl Redelivery {
    pub(super) fn new(config: &DirectTransportConfig) -> Self {
        Self {
            max_deliveries: config.max_deliveries.max(1),
            ack_wait: config.ack_wait,
            keep: config.dead_letters,
            counters: Counters::default(),
            dead: Mutex::default(),
        }
    }

    pub(super) fn stats(&self) -> TransportStats {
        self.counters.read()
    }

    pub(super) fn dead_letters(&self) -> Vec<(AgentMessage, Error)> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn count_refused(&self, is_pool: bool) {
        let counter = if is_pool { &self.counters.refused } else { &self.counters.missed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes a delivery one that comes again until its receiver says how it went.
    pub(super) fn watch(self: &Arc<Self>, delivery: Delivery, group: &Arc<Group>) -> Delivery {
        let attempt = delivery.attempt;
        let (says, said) = watch::channel(Said::Nothing);
        let pending = Pending {
            message: delivery.message.clone(),
            attempt,
            redelivery: self.clone(),
            group: Arc::downgrade(group),
        };
        tokio::spawn(pending.wait(said));
        delivery.with_acknowledge(Box::new(Says(says)), attempt)
    }

    fn bury(&self, message: AgentMessage, cause: Error) {
        self.counters.dead_lettered.fetch_add(1, Ordering::Relaxed);
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if self.keep == 0 {
            return;
        }
        if dead.len() == self.keep {
            dead.pop_front();
        }
        dead.push_back((message, cause));
    }
}

#[derive(Clone, Debug)]
enum Said {
    Nothing,
    InProgress,
    Handled,
    Again(Duration),
    Never(Error),
}

struct Says(watch::Sender<Said>);

impl Acknowledge for Says {
    fn ack(self: Box<Self>) {
        self.0.send_replace(Said::Handled);
    }

    fn nak(self: Box<Self>, delay: Duration) {
        self.0.send_replace(Said::Again(delay));
    }

    fn in_progress(&self) {
        self.0.send_replace(Said::InProgress);
    }

    fn dead_letter(self: Box<Self>, cause: Error) {
        self.0.send_replace(Said::Never(cause));
    }
}

/// Owned by the delivery that it waits for: it ends when that one is acknowledged, dropped or silent for too long.
struct Pending {
    message: AgentMessage,
    attempt: u32,
    redelivery: Arc<Redelivery>,
    group: Weak<Group>,
}

impl Pending {
    async fn wait(self, mut said: watch::Receiver<Said>) {
        loop {
            let silent = timeout(self.redelivery.ack_wait, said.changed()).await;
            let last = said.borrow_and_update().clone();
            match (silent, last) {
                (_, Said::Handled) => return,
                (_, Said::Never(cause)) => return self.redelivery.bury(self.message, cause),
                (_, Said::Again(delay)) => return self.again(delay).await,
                (Ok(Ok(())), Said::InProgress) => {}
                _ => return self.again(Duration::ZERO).await,
            }
        }
    }

    async fn again(self, delay: Duration) {
        if self.attempt >= self.redelivery.max_deliveries {
            let cause =
                Error::new(ErrorKind::Unavailable, "deliver message").with_context("attempts", self.attempt);
            return self.redelivery.bury(self.message, cause);
        }
        tokio::time::sleep(delay).await;
        let Some(group) = self.group.upgrade() else {
            let cause =
                Error::new(ErrorKind::NotFound, "deliver message").with_context("reason", "no subscriber");
            return self.redelivery.bury(self.message, cause);
        };
        self.redelivery.counters.redelivered.fetch_add(1, Ordering::Relaxed);
        let mut delivery = Delivery::new(self.message.clone());
        delivery.attempt = self.attempt + 1;
        if let Err(refused) = group.deliver(delivery, &self.redelivery) {
            self.redelivery.bury(self.message, refused.error);
        }
    }
}
