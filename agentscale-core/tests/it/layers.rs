#![allow(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

mod adaptive_concurrency;
mod bulkhead;
mod call_clock;
mod circuit_breaker;
mod config;
mod hedge;
mod priority_shed;
mod rate_limit;
mod retry;
mod simulation;
mod tables;
mod timeout;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use agentscale_core::layers::Service;
use agentscale_core::{Error, ErrorKind, Result};
use futures::future::BoxFuture;

/// A service that takes a while and then answers from a script; it counts what reached it.
#[derive(Clone, Debug)]
struct Scripted {
    takes: Duration,
    answers: Arc<Vec<Result<&'static str>>>,
    started: Arc<AtomicUsize>,
    polled_for_readiness: Arc<AtomicUsize>,
}

impl Scripted {
    /// The last answer is repeated.
    fn new(answers: impl IntoIterator<Item = Result<&'static str>>) -> Self {
        Self {
            takes: Duration::ZERO,
            answers: Arc::new(answers.into_iter().collect()),
            started: Arc::default(),
            polled_for_readiness: Arc::default(),
        }
    }

    fn taking(mut self, takes: Duration) -> Self {
        self.takes = takes;
        self
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    fn polled_for_readiness(&self) -> usize {
        self.polled_for_readiness.load(Ordering::SeqCst)
    }
}

impl Service<()> for Scripted {
    type Response = &'static str;
    type Error = Error;
    type Future = BoxFuture<'static, Result<&'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.polled_for_readiness.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let call = self.started.fetch_add(1, Ordering::SeqCst);
        let (answers, takes) = (self.answers.clone(), self.takes);
        Box::pin(async move {
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            answers[call.min(answers.len() - 1)].clone()
        })
    }
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "complete")
}

/// Threads take and drop permits as fast as they can; returns the most that were held at once.
fn most_held_at_once<P>(try_acquire: impl Fn() -> Result<P> + Sync) -> usize {
    let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut permits = Vec::new();
                for step in 0..20_000 {
                    if let Ok(permit) = try_acquire() {
                        most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        permits.push(permit);
                    }
                    if step % 3 == 0 && !permits.is_empty() {
                        held.fetch_sub(1, Ordering::SeqCst);
                        drop(permits.swap_remove(step % permits.len()));
                    }
                }
                held.fetch_sub(permits.len(), Ordering::SeqCst);
            });
        }
    });
    most.into_inner()
}
