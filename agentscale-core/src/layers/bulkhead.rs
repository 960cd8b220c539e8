mod config;
mod future;
mod line;
mod permit;
mod slots;

use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use self::slots::{Slots, Ticket};
use crate::time::Clock;
use crate::{Error, ErrorKind, Result};

pub use config::BulkheadConfig;
pub use future::BulkheadFuture;
pub use permit::BulkheadPermit;

/// A bound of calls in flight, shared by its clones, with a line for those who wait.
///
/// A call that finds a free slot costs atomic operations only. Slots that come free go to the waiting in the
/// order in which they came.
///
/// ```
/// use std::sync::Arc;
/// use agentscale_core::ErrorKind;
/// use agentscale_core::layers::{Bulkhead, BulkheadConfig};
/// use agentscale_core::time::SystemClock;
///
/// let config = BulkheadConfig { max_in_flight: 1, ..BulkheadConfig::default() };
/// let bulkhead = Bulkhead::new(&config, Arc::new(SystemClock::new()))?;
/// let permit = bulkhead.try_acquire()?;
/// assert_eq!(bulkhead.try_acquire().unwrap_err().kind(), ErrorKind::Overloaded);
/// drop(permit);
/// assert!(bulkhead.try_acquire().is_ok());
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bulkhead {
    slots: Arc<Slots>,
}

impl Bulkhead {
    /// A bulkhead whose slots are free. The clock is read only while calls wait.
    ///
    /// # Errors
    ///
    /// `invalid_input`, with the field that is zero or beyond its bounds as context.
    pub fn new(config: &BulkheadConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.check()?;
        Ok(Self { slots: Arc::new(Slots::new(config, clock)) })
    }

    /// Takes a slot if one is free and nobody waits for it.
    ///
    /// # Errors
    ///
    /// `overloaded` otherwise.
    pub fn try_acquire(&self) -> Result<BulkheadPermit> {
        BulkheadPermit::take(&self.slots).ok_or_else(full)
    }

    /// Takes a slot or stands in line for one. Only a call that waits needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// `overloaded` at once where the line is full or too slow for the longest wait, and after that wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the place in line back; a slot that it was just given goes to the next.
    pub async fn acquire(&self) -> Result<BulkheadPermit> {
        match BulkheadPermit::take(&self.slots) {
            Some(permit) => Ok(permit),
            None => match tokio::time::timeout(self.slots.max_wait(), self.stand_in_line()?).await {
                Ok(permit) => Ok(permit),
                Err(_) => Err(waited_too_long()),
            },
        }
    }

    /// How many permits are out.
    pub fn in_flight(&self) -> usize {
        self.slots.in_flight()
    }

    /// How many calls stand in line.
    pub fn waiting(&self) -> usize {
        self.slots.waiting()
    }

    fn stand_in_line(&self) -> Result<Ticket> {
        self.slots.stand_in_line().ok_or_else(full)
    }
}

/// Bounds the calls in flight; refuses with `overloaded`, at once or after a wait in line.
///
/// Defaults: 64 calls in flight, nobody waits. Position: outside everything that belongs to one attempt, so
/// that a breaker inside does not count its refusals; inside priority shedding, which knows who goes first.
/// The bound is asked in `call`, never in `poll_ready`. A call that is dropped gives back its slot, or its
/// place in line; a slot that was just given to a call that is gone goes to the next in line. A call that
/// waits takes the service that was ready for it along, so services are cloned then.
#[derive(Clone, Debug)]
pub struct BulkheadLayer {
    bulkhead: Bulkhead,
}

impl BulkheadLayer {
    /// A layer whose services share `bulkhead`, with their clones and with whoever else holds a clone of it.
    pub fn new(bulkhead: Bulkhead) -> Self {
        Self { bulkhead }
    }
}

impl<S> Layer<S> for BulkheadLayer {
    type Service = BulkheadService<S>;

    fn layer(&self, inner: S) -> BulkheadService<S> {
        BulkheadService { inner, bulkhead: self.bulkhead.clone() }
    }
}

/// The service of [`BulkheadLayer`].
#[derive(Clone, Debug)]
pub struct BulkheadService<S> {
    inner: S,
    bulkhead: Bulkhead,
}

impl<S, Q> Service<Q> for BulkheadService<S>
where
    S: Service<Q, Error = Error> + Clone,
{
    type Response = S::Response;
    type Error = Error;
    type Future = BulkheadFuture<S, Q>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Q) -> Self::Future {
        if let Some(permit) = BulkheadPermit::take(&self.bulkhead.slots) {
            return BulkheadFuture::admitted(self.inner.call(request), permit);
        }
        match self.bulkhead.stand_in_line() {
            Ok(ticket) => {
                // The instance that was asked for readiness makes this call; its clone has to be asked anew.
                let again = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, again);
                BulkheadFuture::waiting(ticket, self.bulkhead.slots.max_wait(), ready, request)
            }
            Err(refusal) => BulkheadFuture::refused(refusal),
        }
    }
}

#[cold]
fn full() -> Error {
    Error::new(ErrorKind::Overloaded, "enter the bulkhead")
}

#[cold]
fn waited_too_long() -> Error {
    Error::new(ErrorKind::Overloaded, "wait for a slot of the bulkhead")
}
