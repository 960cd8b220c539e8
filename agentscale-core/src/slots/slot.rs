use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::handle::Shared;
use super::{Epoch, SlotKey};
use crate::{Error, ErrorKind, Result, Retry};

/// What is known of a membership.
#[derive(Debug)]
pub(super) enum Standing {
    /// It lasts until then, unless it is renewed.
    Until(Instant),
    Over(Error),
}

impl Standing {
    pub(super) fn late() -> Error {
        Error::new(ErrorKind::DeadlineExceeded, "renew slots")
            .with_retry(Retry::Never)
            .with_context("reason", "not renewed in time")
    }

    pub(super) fn closed() -> Error {
        Error::new(ErrorKind::Cancelled, "hold slot").with_context("reason", "closed")
    }
}

/// One slot of an account: it is given back when this is dropped.
///
/// It lasts as long as its instance is heard of. A run that goes on for long stops when [`lost`](Self::lost) says so: another
/// one may have its slot by then.
#[derive(Debug)]
pub struct Slot {
    pub(super) key: SlotKey,
    pub(super) epoch: Epoch,
    pub(super) term: u64,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) shared: Arc<Shared>,
}

impl Slot {
    /// Whose it is.
    pub fn key(&self) -> &SlotKey {
        &self.key
    }

    /// The epoch of the instance.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The epoch, while the slot is held by this process's own clock: what was frozen knows at once.
    ///
    /// # Errors
    /// `fenced` where the store has ended it; `deadline_exceeded` where it could not be renewed in time; `cancelled` where the
    /// instance gave its slots back.
    pub fn check(&self) -> Result<Epoch> {
        match &*self.standing.borrow() {
            Standing::Until(until) if Instant::now() < *until => Ok(self.epoch),
            Standing::Until(_) => Err(Standing::late()),
            Standing::Over(error) => Err(error.clone()),
        }
    }

    /// Waits until the slot is lost, and says why, as [`check`](Self::check) does.
    pub async fn lost(&self) -> Error {
        let mut standing = self.standing.clone();
        loop {
            if let Standing::Over(error) = &*standing.borrow_and_update() {
                return error.clone();
            }
            if standing.changed().await.is_err() {
                // The task ends without a word only together with the runtime.
                return Standing::closed();
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.lines().release(&self.key, self.term);
        self.shared.wake.notify_one();
    }
}
