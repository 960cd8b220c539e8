use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::keeper::{Keeper, Standing};
use super::{AcquireRequest, Epoch, LeaseKey, LeaseStore, check_ttl};
use crate::{Error, ErrorKind, Result};

/// What is kept back of the time of a lease: a tenth, for clocks that run at different speeds.
const MARGIN: u32 = 10;

/// A lease that this process holds: renewed after a third of its time, over a tenth of it before it ends.
///
/// Whoever works under it asks [`check`](Self::check) before each write, carries the epoch with the write, and stops when
/// [`lost`](Self::lost) says so. A renewal that fails is tried again while there is time.
///
/// [`close`](Self::close) releases it; so does dropping it, in the background. Do either when the work has stopped: the next
/// holder may begin at once.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use agentscale_core::lease::{AcquireRequest, Lease, LeaseKey};
/// # use agentscale_core::{LeaseStore, Result, Tenant};
/// async fn deploy(leases: Arc<dyn LeaseStore>, project: &str) -> Result<()> {
///     let key = LeaseKey::new(&Tenant::new("acme")?, "deployment", project)?;
///     let request = AcquireRequest::new(key, "host-7".try_into()?, Duration::from_secs(30));
///     // Refused with the name of whoever deploys now.
///     let lease = Lease::acquire(leases, request.with_note("release 1.4.2".try_into()?)).await?;
///     tokio::select! {
///         error = lease.lost() => return Err(error),
///         () = roll_out(lease.epoch()) => {}
///     }
///     lease.close().await
/// }
/// # async fn roll_out(_: agentscale_core::lease::Epoch) {}
/// ```
#[derive(Debug)]
pub struct Lease {
    watch: LeaseWatch,
    /// That it is gone tells the task to release.
    ending: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<()>>,
}

impl Lease {
    /// Takes a lease and begins to renew it.
    ///
    /// # Errors
    /// Those of [`LeaseStore::acquire`].
    ///
    /// # Cancel safety
    /// A lease that was granted to a future that is dropped ends with its time.
    pub async fn acquire(store: Arc<dyn LeaseStore>, request: AcquireRequest) -> Result<Self> {
        let margin = request.ttl / MARGIN;
        Self::acquire_with_margin(store, request, margin).await
    }

    /// Takes a lease of which another part than a tenth is kept back: how far this machine's clock and that of the store
    /// may run apart while the lease lasts.
    ///
    /// # Errors
    /// Those of [`LeaseStore::acquire`]; `invalid_input` for a margin that leaves no time.
    pub async fn acquire_with_margin(
        store: Arc<dyn LeaseStore>,
        request: AcquireRequest,
        margin: Duration,
    ) -> Result<Self> {
        check_ttl(request.ttl)?;
        if margin >= request.ttl {
            return Err(Error::new(ErrorKind::InvalidInput, "acquire lease")
                .with_context("ttl", format!("{:?}", request.ttl))
                .with_context("margin", format!("{margin:?}")));
        }
        let (key, ttl) = (request.key.clone(), request.ttl);
        // The store reckons from later than this.
        let asked = Instant::now();
        let grant = store.acquire(request).await?;
        let until = asked + grant.remaining.saturating_sub(margin);
        let (tell, standing) = watch::channel(Standing::Until(until));
        let (ending, ended) = oneshot::channel();
        let keeper = Keeper { store, key: key.clone(), epoch: grant.epoch, ttl, margin, tell };
        let task = tokio::spawn(keeper.run(asked, until, ended));
        let watch = LeaseWatch { key, epoch: grant.epoch, ttl, standing };
        Ok(Self { watch, ending: Some(ending), task })
    }

    /// Releases the lease and waits until the store knows.
    ///
    /// # Errors
    /// Why it was lost before, if it was: another holder may have been at work. Else those of [`LeaseStore::release`].
    pub async fn close(mut self) -> Result<()> {
        self.ending = None;
        let ended = (&mut self.task).await;
        ended.map_err(|error| Error::new(ErrorKind::Internal, "release lease").with_source(error))?
    }

    /// What it is held by, for others to ask: it does not keep the lease.
    pub fn watch(&self) -> LeaseWatch {
        self.watch.clone()
    }

    /// To be carried by every write that the lease protects.
    pub fn epoch(&self) -> Epoch {
        self.watch.epoch
    }

    /// As [`LeaseWatch::check`].
    ///
    /// # Errors
    /// Why the lease is over.
    pub fn check(&self) -> Result<Epoch> {
        self.watch.check()
    }

    /// As [`LeaseWatch::lost`].
    pub async fn lost(&self) -> Error {
        self.watch.lost().await
    }
}

/// Knows whether a [`Lease`] is held.
#[derive(Clone, Debug)]
pub struct LeaseWatch {
    key: LeaseKey,
    epoch: Epoch,
    ttl: Duration,
    standing: watch::Receiver<Standing>,
}

impl LeaseWatch {
    /// The lease.
    pub fn key(&self) -> &LeaseKey {
        &self.key
    }

    /// The time of the lease, from one renewal on.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How long the lease is held unless it is renewed, by this process's own clock and less what is kept back; nothing
    /// where it is over.
    pub fn remaining(&self) -> Duration {
        match &*self.standing.borrow() {
            Standing::Until(until) => until.saturating_duration_since(Instant::now()),
            Standing::Over(_) => Duration::ZERO,
        }
    }

    /// The epoch, while the lease is held by this process's own clock: what was frozen knows at once.
    ///
    /// # Errors
    /// `fenced` where another one took it; `deadline_exceeded` where it could not be renewed in time; `cancelled` where it
    /// was released.
    pub fn check(&self) -> Result<Epoch> {
        match &*self.standing.borrow() {
            Standing::Until(until) if Instant::now() < *until => Ok(self.epoch),
            Standing::Until(_) => Err(Standing::late(&self.key)),
            Standing::Over(error) => Err(error.clone()),
        }
    }

    /// Waits until the lease is over, and says why, as [`check`](Self::check) does.
    pub async fn lost(&self) -> Error {
        let mut standing = self.standing.clone();
        loop {
            if let Standing::Over(error) = &*standing.borrow_and_update() {
                return error.clone();
            }
            if standing.changed().await.is_err() {
                // Its task ends without a word only together with the runtime.
                return Standing::released(&self.key);
            }
        }
    }
}
