use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use agentscale_core::layers::Service;
use agentscale_core::{Error, Result};

use super::unavailable;

/// A service that must be asked for readiness before each call, instance by instance; its first calls fail.
#[derive(Debug)]
pub(super) struct Strict {
    ready: bool,
    failures_left: Arc<AtomicUsize>,
    clones: Arc<AtomicUsize>,
}

impl Strict {
    pub(super) fn failing(calls: usize) -> Self {
        Self { ready: false, failures_left: Arc::new(AtomicUsize::new(calls)), clones: Arc::default() }
    }

    pub(super) fn clones(&self) -> usize {
        self.clones.load(Ordering::SeqCst)
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::SeqCst);
        Self { ready: false, failures_left: self.failures_left.clone(), clones: self.clones.clone() }
    }
}

impl Service<()> for Strict {
    type Response = ();
    type Error = Error;
    type Future = Ready<Result<()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        assert!(std::mem::replace(&mut self.ready, false), "called without having been ready");
        let less = |left: usize| left.checked_sub(1);
        let fails = self.failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        ready(if fails { Err(unavailable()) } else { Ok(()) })
    }
}
