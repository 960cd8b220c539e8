//! Permits of executing turns. A turn holds one only while it runs: where it waits for the SDK, it gives it back.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use agentscale_core::Priority;
use tokio::sync::oneshot;

/// Resumed turns, then new ones by priority.
const CLASSES: usize = 7;
const RESUMED: usize = 0;

#[derive(Debug)]
pub(crate) struct Permits {
    free: AtomicUsize,
    waiting: AtomicUsize,
    queues: Mutex<[VecDeque<oneshot::Sender<Permit>>; CLASSES]>,
}

#[derive(Debug)]
pub(crate) struct Permit(Option<Arc<Permits>>);

impl Permits {
    pub(crate) fn new(turns: usize) -> Self {
        Self { free: AtomicUsize::new(turns), waiting: AtomicUsize::new(0), queues: Mutex::default() }
    }

    fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return None;
        }
        self.take().then(|| Permit(Some(self.clone())))
    }

    fn take(&self) -> bool {
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(1)).is_ok()
    }

    fn enqueue(self: &Arc<Self>, class: usize) -> oneshot::Receiver<Permit> {
        let (sender, receiver) = oneshot::channel();
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues[class].push_back(sender);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(queues);
        // A permit that came back before this waiter stood in the queue is handed on now.
        self.hand_on();
        receiver
    }

    fn hand_on(self: &Arc<Self>) {
        while self.waiting.load(Ordering::SeqCst) > 0 && self.take() {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            let next = queues.iter_mut().find_map(VecDeque::pop_front);
            if next.is_some() {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
            }
            drop(queues);
            match next.map(|waiter| waiter.send(Permit(Some(self.clone())))) {
                Some(Ok(())) => {}
                Some(Err(mut unwanted)) => {
                    unwanted.0 = None;
                    self.free.fetch_add(1, Ordering::SeqCst);
                }
                // Another thread served that waiter. One that came since saw no free permit, so look again.
                None => {
                    self.free.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(permits) = self.0.take() {
            permits.free.fetch_add(1, Ordering::SeqCst);
            permits.hand_on();
        }
    }
}

/// How many SDK waits a turn is in.
#[derive(Debug, Default)]
pub(crate) struct Waits(AtomicUsize);

impl Waits {
    /// Counts a wait until the guard is dropped.
    pub(crate) fn enter(&self) -> Waiting<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a Waits);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Polls a turn only while it holds a permit, and gives the permit back while the turn waits for the SDK.
#[derive(Debug)]
pub(crate) struct Gated<'a, F> {
    turn: F,
    permits: &'a Arc<Permits>,
    waits: &'a Waits,
    held: Option<Permit>,
    asked: Option<oneshot::Receiver<Permit>>,
    class: usize,
}

impl<'a, F> Gated<'a, F> {
    pub(crate) fn new(turn: F, permits: &'a Arc<Permits>, waits: &'a Waits, priority: Priority) -> Self {
        Self { turn, permits, waits, held: None, asked: None, class: 1 + priority as usize }
    }

    fn poll_permit(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.held.is_some() {
            return Poll::Ready(());
        }
        if self.asked.is_none() {
            self.held = self.permits.try_acquire();
            if self.held.is_some() {
                return Poll::Ready(());
            }
        }
        let asked = self.asked.get_or_insert_with(|| self.permits.enqueue(self.class));
        match Pin::new(asked).poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(permit) => {
                self.asked = None;
                // The sender lives in the queue until it sends, and the queue lives as long as `permits`.
                self.held = permit.ok();
                Poll::Ready(())
            }
        }
    }
}

impl<F: Future + Unpin> Future for Gated<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.poll_permit(context).is_pending() {
            return Poll::Pending;
        }
        let output = Pin::new(&mut self.turn).poll(context);
        if output.is_ready() || self.waits.any() {
            self.class = RESUMED;
            self.held = None;
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn gated<F: Future>(
        permits: &Arc<Permits>,
        waits: &Waits,
        priority: Priority,
        turn: F,
    ) -> F::Output {
        Gated::new(Box::pin(turn), permits, waits, priority).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_waits_for_the_sdk_gives_its_permit_to_another() {
        let permits = Arc::new(Permits::new(1));
        let (first, second) = (Waits::default(), Waits::default());
        let started = tokio::time::Instant::now();
        tokio::join!(
            gated(&permits, &first, Priority::Conversation, async {
                let _waiting = first.enter();
                tokio::time::sleep(Duration::from_secs(10)).await;
            }),
            gated(&permits, &second, Priority::Conversation, async {
                let _waiting = second.enter();
                tokio::time::sleep(Duration::from_secs(10)).await;
            }),
        );
        assert_eq!(started.elapsed(), Duration::from_secs(10));
        assert_eq!(permits.free.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_runs_keeps_its_permit_and_urgent_turns_go_first() {
        let permits = Arc::new(Permits::new(1));
        let waits = Waits::default();
        let order = Mutex::new(Vec::new());
        let run = |name: &'static str, priority| {
            let (permits, waits, order) = (&permits, &waits, &order);
            async move {
                gated(permits, waits, priority, async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    order.lock().unwrap().push(name);
                })
                .await;
            }
        };
        tokio::join!(
            run("first", Priority::Evaluation),
            run("evaluation", Priority::Evaluation),
            run("incident", Priority::Incident),
            run("conversation", Priority::Conversation),
        );
        assert_eq!(*order.lock().unwrap(), ["first", "incident", "conversation", "evaluation"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_waiter_takes_no_permit_with_it() {
        let permits = Arc::new(Permits::new(1));
        let waits = Waits::default();
        let held = permits.try_acquire().unwrap();
        let waiter = gated(&permits, &waits, Priority::Conversation, async {});
        assert!(tokio::time::timeout(Duration::from_secs(1), waiter).await.is_err());
        drop(held);
        assert!(permits.try_acquire().is_some());
        assert_eq!(permits.waiting.load(Ordering::SeqCst), 0);
    }
}
