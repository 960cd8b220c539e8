use std::collections::VecDeque;

use tokio::time::Instant;

use crate::Result;
use crate::runs::{AppendEvents, Epoch, EventId, RunEvent, RunId, RunPage, RunStreamLimits, ended, stale};

/// What an event costs beside its bytes, about.
const EVENT: usize = 128;
/// What a stream costs beside its events, about.
const STREAM: usize = 512;

#[derive(Debug)]
pub(super) struct Stream {
    epoch: Epoch,
    /// Of the last event of the epoch.
    number: u64,
    /// Nothing up to here is kept.
    floor: EventId,
    ended: bool,
    events: VecDeque<RunEvent>,
    bytes: usize,
    pub(super) expires: Instant,
}

impl Stream {
    /// A stream whose next event has this number.
    pub(super) fn new(epoch: Epoch, next: u64, expires: Instant) -> Self {
        let number = next.saturating_sub(1);
        let floor = EventId::new(epoch, number);
        Self { epoch, number, floor, ended: false, events: VecDeque::new(), bytes: 0, expires }
    }

    pub(super) fn check(&self, operation: &'static str, run: &RunId, epoch: Epoch) -> Result<()> {
        if epoch < self.epoch { Err(stale(operation, run, self.epoch)) } else { Ok(()) }
    }

    /// Goes on under an epoch that is no older: the number of its next event.
    pub(super) fn go_on(&mut self, epoch: Epoch) -> u64 {
        if epoch > self.epoch {
            (self.epoch, self.number) = (epoch, 0);
        }
        self.ended = false;
        self.number.saturating_add(1)
    }

    /// Adds what is new of the events, and says how many others made room.
    pub(super) fn append(&mut self, request: AppendEvents, limits: &RunStreamLimits) -> Result<usize> {
        let AppendEvents { run, epoch, first, events } = request;
        if epoch > self.epoch {
            self.go_on(epoch);
        }
        let numbered = (first..).zip(events).filter(|(number, _)| *number > self.number);
        let new: Vec<_> = numbered.collect();
        if self.ended && !new.is_empty() {
            return Err(ended(&run));
        }
        for (number, event) in new {
            self.number = number;
            self.bytes += event.size();
            self.ended = event.ends;
            self.events.push_back(RunEvent::new(EventId::new(epoch, number), event));
            if self.ended {
                self.events.shrink_to_fit();
                break;
            }
        }
        let mut trimmed = 0;
        while self.events.len() > limits.events || self.bytes > limits.bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.name.as_str().len() + oldest.data.len();
            self.floor = oldest.id;
            trimmed += 1;
        }
        Ok(trimmed)
    }

    pub(super) fn page(&self, after: Option<EventId>, limit: usize) -> RunPage {
        let first = after.map_or(0, |after| self.events.partition_point(|event| event.id <= after));
        let events = self.events.range(first..).take(limit).cloned().collect();
        RunPage::new(after, self.floor, self.last(), self.ended, events)
    }

    pub(super) fn last(&self) -> EventId {
        EventId::new(self.epoch, self.number)
    }

    pub(super) fn weight(&self) -> usize {
        STREAM + self.events.len() * EVENT + self.bytes
    }
}
