//! One agent, passive: its key, its mailbox while it is woken, its state while it is active.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use agentscale_core::transport::{Delivery, MailboxLimits};
use agentscale_core::{AgentKey, Error, ErrorKind, Tenant};

use super::activation::Activation;
use super::repeat::Unsure;
use crate::admission::Admitted;
use crate::emission::Emission;

/// A message in a mailbox.
pub(super) struct Queued {
    pub(super) delivery: Delivery,
    pub(super) admitted: Admitted,
    /// A commit of an earlier attempt whose answer was lost.
    pub(super) unsure: Option<Box<Unsure>>,
    /// What this attempt emits.
    pub(super) emission: Emission,
}

pub(super) struct Slot<S> {
    pub(super) tenant: Tenant,
    pub(super) key: AgentKey,
    inner: Mutex<Inner<S>>,
}

struct Inner<S> {
    phase: Phase,
    last_active: u32,
    mailbox: Option<Box<Mailbox>>,
    activation: Option<Box<Activation<S>>>,
}

impl<S> Inner<S> {
    fn pop(&mut self) -> Option<Queued> {
        let mailbox = self.mailbox.as_mut()?;
        let queued = mailbox.queue.pop_front()?;
        mailbox.bytes -= queued.admitted.bytes();
        Some(queued)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// A worker runs the agent, or is about to, and owns its activation.
    Woken,
    /// Taken from the registry; who finds this looks again.
    Gone,
}

#[derive(Default)]
struct Mailbox {
    queue: VecDeque<Queued>,
    bytes: usize,
}

/// What became of a message for a slot.
pub(super) enum Taken<S> {
    Queued,
    /// The caller gives it to the workers; they begin with this message.
    Wakes(Queued, Option<Box<Activation<S>>>),
    Gone(Queued),
    Refused(Queued, Error),
}

impl<S> Slot<S> {
    pub(super) fn new(tenant: Tenant, key: AgentKey) -> Self {
        let inner = Inner { phase: Phase::Idle, last_active: 0, mailbox: None, activation: None };
        Self { tenant, key, inner: Mutex::new(inner) }
    }

    pub(super) fn is(&self, tenant: &Tenant, key: &AgentKey) -> bool {
        self.key == *key && self.tenant == *tenant
    }

    pub(super) fn take(&self, queued: Queued, limits: &MailboxLimits) -> Taken<S> {
        let bytes = queued.admitted.bytes();
        if bytes > limits.bytes {
            let error = Error::new(ErrorKind::TooLarge, "deliver to agent")
                .with_context("bytes", bytes)
                .with_context("limit", limits.bytes);
            return Taken::Refused(queued, error);
        }
        let mut inner = self.lock();
        match inner.phase {
            Phase::Gone => Taken::Gone(queued),
            Phase::Idle => {
                inner.phase = Phase::Woken;
                Taken::Wakes(queued, inner.activation.take())
            }
            Phase::Woken => {
                let mailbox = inner.mailbox.get_or_insert_default();
                let (messages, held) = (mailbox.queue.len(), mailbox.bytes);
                if !limits.admit(messages, held, bytes) {
                    let error = Error::new(ErrorKind::Overloaded, "deliver to agent")
                        .with_context("messages", messages)
                        .with_context("bytes", held);
                    return Taken::Refused(queued, error);
                }
                mailbox.bytes += bytes;
                mailbox.queue.push_back(queued);
                Taken::Queued
            }
        }
    }

    /// The next message; where there is none, the agent is passive again and keeps its activation.
    pub(super) fn next(&self, activation: &mut Option<Box<Activation<S>>>, now: u32) -> Option<Queued> {
        let mut inner = self.lock();
        let next = inner.pop();
        if next.is_none() {
            inner.phase = Phase::Idle;
            inner.mailbox = None;
            inner.last_active = now;
            inner.activation = activation.take();
        }
        next
    }

    /// Ends a run that could not go on: what waits in the mailbox is given back, the activation is lost.
    pub(super) fn give_up(&self) -> Vec<Queued> {
        let mut inner = self.lock();
        inner.phase = Phase::Idle;
        inner.mailbox.take().map(|mailbox| mailbox.queue.into()).unwrap_or_default()
    }

    /// Takes a passive agent from memory if `goes` agrees to the second of its last turn.
    pub(super) fn passivate(&self, goes: impl FnOnce(u32) -> bool) -> Passivated {
        let mut inner = self.lock();
        if inner.phase != Phase::Idle || !goes(inner.last_active) {
            return Passivated::Stays;
        }
        inner.phase = Phase::Gone;
        if inner.activation.take().is_some() { Passivated::Active } else { Passivated::Cold }
    }

    /// The second of the last turn, of an agent that is active and idle.
    pub(super) fn idle_since(&self) -> Option<u32> {
        let inner = self.lock();
        (inner.phase == Phase::Idle && inner.activation.is_some()).then_some(inner.last_active)
    }

    /// Whether the agent is woken, whether it is active, and how many messages wait.
    pub(super) fn look(&self) -> (bool, bool, usize) {
        let inner = self.lock();
        let woken = inner.phase == Phase::Woken;
        (
            woken,
            woken || inner.activation.is_some(),
            inner.mailbox.as_ref().map_or(0, |mailbox| mailbox.queue.len()),
        )
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of an agent that was to be passivated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passivated {
    Stays,
    /// It was in memory.
    Active,
    /// Only its key was.
    Cold,
}
