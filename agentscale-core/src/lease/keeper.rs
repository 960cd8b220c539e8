//! Renews a lease until it is released or lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Epoch, LeaseKey, LeaseStore, ReleaseRequest, RenewRequest};
use crate::{Error, ErrorKind, Result, Retry};

/// A renewal is asked for after this part of the time.
const RENEWED_AFTER: u32 = 3;
/// One that is not answered within this part of the time is asked for again: its connection may be dead.
const PATIENCE: u32 = 6;
/// After a renewal that failed the next one waits for this part of the time.
const PAUSE: u32 = 12;

/// What is known of a lease.
#[derive(Debug)]
pub(super) enum Standing {
    /// Held until then, unless it is renewed.
    Until(Instant),
    Over(Error),
}

impl Standing {
    pub(super) fn late(key: &LeaseKey) -> Error {
        Error::new(ErrorKind::DeadlineExceeded, "renew lease")
            .with_retry(Retry::Never)
            .with_context("lease", key)
            .with_context("reason", "not renewed in time")
    }

    pub(super) fn released(key: &LeaseKey) -> Error {
        Error::new(ErrorKind::Cancelled, "hold lease")
            .with_context("lease", key)
            .with_context("reason", "released")
    }
}

pub(super) struct Keeper {
    pub(super) store: Arc<dyn LeaseStore>,
    pub(super) key: LeaseKey,
    pub(super) epoch: Epoch,
    pub(super) ttl: Duration,
    pub(super) margin: Duration,
    pub(super) tell: watch::Sender<Standing>,
}

impl Keeper {
    /// Ends when the lease does; `ended` comes when its owner lets it go.
    pub(super) async fn run(
        self,
        asked: Instant,
        mut until: Instant,
        mut ended: oneshot::Receiver<()>,
    ) -> Result<()> {
        let mut next = asked + self.ttl / RENEWED_AFTER;
        let mut failed = None;
        loop {
            tokio::select! {
                biased;
                // Whether it was sent or dropped, the owner has let go.
                _ = &mut ended => return self.release(until).await,
                () = sleep_until(next.min(until)) => {}
            }
            let asked = Instant::now();
            if asked >= until {
                let late = Standing::late(&self.key);
                return self.over(match failed {
                    Some(error) => late.with_source(error),
                    None => late,
                });
            }
            let patience = until.min(asked + self.ttl / PATIENCE);
            let request = RenewRequest::new(self.key.clone(), self.epoch, self.ttl);
            let renewed = tokio::select! {
                biased;
                _ = &mut ended => return self.release(until).await,
                renewed = timeout_at(patience, self.store.renew(request)) => renewed,
            };
            match renewed {
                Ok(Ok(grant)) => {
                    until = asked + grant.remaining.saturating_sub(self.margin);
                    next = asked + self.ttl / RENEWED_AFTER;
                    failed = None;
                    self.tell.send_replace(Standing::Until(until));
                }
                Ok(Err(error)) if error.kind() == ErrorKind::Fenced => return self.over(error),
                Ok(Err(error)) => {
                    next = Instant::now() + self.ttl / PAUSE;
                    failed = Some(error);
                }
                Err(_) => next = Instant::now(),
            }
        }
    }

    fn over(&self, error: Error) -> Result<()> {
        self.tell.send_replace(Standing::Over(error.clone()));
        Err(error)
    }

    async fn release(&self, until: Instant) -> Result<()> {
        self.tell.send_replace(Standing::Over(Standing::released(&self.key)));
        let request = ReleaseRequest::new(self.key.clone(), self.epoch);
        // Later than that it is over without a word.
        let released = timeout_at(until, self.store.release(request)).await;
        released.unwrap_or_else(|_| Err(Standing::late(&self.key)))
    }
}
