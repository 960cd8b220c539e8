use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::runs::NewEvent;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::RuntimeConfig;
use crate::stats::Counters;

/// Events that wait to be appended. When it is full the oldest make room, whose numbers are left out.
#[derive(Debug)]
pub(super) struct Buffer {
    events: usize,
    bytes: usize,
    counters: Arc<Counters>,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<NewEvent>,
    bytes: usize,
    /// How many were emitted before the first of them.
    before: u64,
    closed: Option<Instant>,
}

impl Buffer {
    pub(super) fn new(config: &RuntimeConfig, counters: Arc<Counters>) -> Self {
        let (events, bytes) = (config.max_emitted_events, config.max_emitted_bytes);
        Self { events, bytes, counters, waiting: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn push(&self, event: NewEvent) {
        let mut dropped = 0;
        let mut waiting = self.waiting();
        if waiting.closed.is_some() {
            dropped += 1;
        } else {
            waiting.bytes += event.size();
            waiting.events.push_back(event);
        }
        // The newest stays, so that an end is told whatever its size.
        while waiting.events.len() > 1
            && (waiting.events.len() > self.events || waiting.bytes > self.bytes)
            && let Some(oldest) = waiting.events.pop_front()
        {
            waiting.bytes -= oldest.size();
            waiting.before += 1;
            dropped += 1;
        }
        drop(waiting);
        self.count_dropped(dropped);
        self.changed.notify_one();
    }

    /// No more will come.
    pub(super) fn close(&self) {
        self.waiting().closed.get_or_insert_with(Instant::now);
        self.changed.notify_one();
    }

    /// Nothing that came, or will come, is appended.
    pub(super) fn abandon(&self) {
        self.close();
        let left = std::mem::take(&mut self.waiting().events).len();
        self.count_dropped(left as u64);
    }

    /// All that waits, with how many were emitted before; `None` once it is closed and empty. For one consumer.
    ///
    /// # Cancel safety
    /// A dropped future takes nothing.
    pub(super) async fn take(&self) -> Option<(u64, Vec<NewEvent>)> {
        loop {
            {
                let mut waiting = self.waiting();
                if !waiting.events.is_empty() {
                    let (before, events) = (waiting.before, std::mem::take(&mut waiting.events));
                    waiting.before += events.len() as u64;
                    waiting.bytes = 0;
                    return Some((before, events.into()));
                }
                if waiting.closed.is_some() {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    pub(super) fn closed(&self) -> Option<Instant> {
        self.waiting().closed
    }

    pub(super) fn count_dropped(&self, events: u64) {
        self.counters.events_dropped.fetch_add(events, Ordering::Relaxed);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under the lock panics half way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
