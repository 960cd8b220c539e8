use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use crate::{AgentMessage, Result};

/// Where the reply to a request goes. Dropping it tells the requester that there will be none.
#[derive(Debug)]
pub struct ReplyTo {
    requester: oneshot::Sender<Result<AgentMessage>>,
    late: Option<Arc<AtomicU64>>,
}

impl ReplyTo {
    /// Replies to who holds the other end.
    pub fn new(requester: oneshot::Sender<Result<AgentMessage>>) -> Self {
        Self { requester, late: None }
    }

    /// Counts in `late` a reply that finds nobody waiting.
    #[must_use]
    pub fn counting_late(mut self, late: Arc<AtomicU64>) -> Self {
        self.late = Some(late);
        self
    }

    /// Answers; an answer to nobody is dropped, counted and gives `false`.
    pub fn send(self, reply: Result<AgentMessage>) -> bool {
        let arrived = self.requester.send(reply).is_ok();
        if let (false, Some(late)) = (arrived, &self.late) {
            late.fetch_add(1, Ordering::Relaxed);
        }
        arrived
    }

    /// Whether the requester has gone: its future was dropped or its deadline has passed.
    pub fn is_abandoned(&self) -> bool {
        self.requester.is_closed()
    }

    /// Waits until the requester has gone.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn abandoned(&mut self) {
        self.requester.closed().await;
    }
}
