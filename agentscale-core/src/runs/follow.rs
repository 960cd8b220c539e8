use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{EventId, ReadEvents, RunId, RunItem, RunStreams};
use crate::Result;

/// How long one read waits: connections to a server that went are found out after so long.
const WAIT: Duration = Duration::from_secs(15);

/// Follows one run: what it has emitted, then what it emits, until it ends.
///
/// An error does not end it: the next call goes on behind what was given last. Whoever has to go keeps
/// [`position`](Self::position) and follows again from there.
#[derive(Debug)]
pub struct RunFollower {
    streams: Arc<dyn RunStreams>,
    read: ReadEvents,
    ready: VecDeque<RunItem>,
    ended: bool,
}

impl RunFollower {
    /// Follows a run from behind an event on, or from its beginning.
    pub fn new(streams: Arc<dyn RunStreams>, run: RunId, after: Option<EventId>) -> Self {
        let read = ReadEvents::new(run).after(after).with_wait(WAIT);
        Self { streams, read, ready: VecDeque::new(), ended: false }
    }

    /// The next event or gap; `None` once the run has ended.
    ///
    /// # Errors
    /// Those of [`RunStreams::read`], of which `not_found` comes where the run begins no stream within 15 s.
    ///
    /// # Cancel safety
    /// A dropped future loses nothing.
    pub async fn next(&mut self) -> Result<Option<RunItem>> {
        while self.ready.is_empty() && !self.ended {
            let page = self.streams.read(self.read.clone()).await?;
            self.ready = page.items.into();
            self.ended = page.ended;
        }
        let item = self.ready.pop_front();
        if let Some(item) = &item {
            self.read.after = Some(item.position());
        }
        Ok(item)
    }

    /// The id of the last event or gap that was given.
    pub fn position(&self) -> Option<EventId> {
        self.read.after
    }
}
