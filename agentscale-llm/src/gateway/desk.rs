use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agentscale_core::time::{Clock, Monotonic};
use tokio::sync::Notify;

/// What each reservation needs of its gateway: the time, and whom to tell that there is room again.
#[derive(Debug)]
pub(crate) struct Desk {
    clock: Arc<dyn Clock>,
    /// How many calls wait in line.
    waiting: AtomicUsize,
    room: Notify,
}

impl Desk {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, waiting: AtomicUsize::new(0), room: Notify::new() }
    }

    pub(crate) fn now(&self) -> Monotonic {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// There may be room for who waits.
    pub(crate) fn tell_room(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.room.notify_one();
        }
    }

    /// Ends once there may be room. Room that was told of before is not forgotten.
    pub(crate) async fn room(&self) {
        self.room.notified().await;
    }

    pub(crate) fn set_waiting(&self, calls: usize) {
        self.waiting.store(calls, Ordering::Release);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}
