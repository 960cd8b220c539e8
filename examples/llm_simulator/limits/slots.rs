//! Answers that are made at a time, as Ollama has them: some run, some wait, one more is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
}

/// Waits for as long as it lives.
struct Place<'s>(&'s AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slots {
    pub(crate) fn new(parallel: usize, queue: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(parallel)), waiting: AtomicUsize::new(0), queue }
    }

    /// A slot, at once or after a wait; none where the queue is full.
    pub(crate) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(slot);
        }
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Place(&self.waiting);
        if waiting >= self.queue {
            return None;
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn some_run_some_wait_and_one_more_is_refused() {
        let slots = Slots::new(1, 1);
        let running = slots.acquire().await;
        assert!(running.is_some());
        let mut waiting = Box::pin(slots.acquire());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(slots.acquire().await.is_none());
        drop(running);
        assert!(waiting.await.is_some());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_the_queue() {
        let slots = Slots::new(1, 1);
        let _running = slots.acquire().await;
        for _ in 0..3 {
            let mut waiting = Box::pin(slots.acquire());
            assert!(waiting.as_mut().now_or_never().is_none());
        }
    }
}
