use std::sync::Arc;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, RateLimiter};

use super::RateLimitConfig;
use crate::time::Clock;
use crate::{Error, ErrorKind, Result};

/// A rate shared by its clones: the generic cell rate algorithm, one word of state, no wait.
///
/// Over any time `t` it admits at most `burst + calls / per * t`.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use agentscale_core::layers::{RateLimit, RateLimitConfig};
/// use agentscale_core::time::ManualClock;
/// # use std::num::NonZeroU32;
///
/// let clock = ManualClock::new();
/// let one = NonZeroU32::MIN;
/// let config = RateLimitConfig { calls: one, per: Duration::from_secs(2), burst: one };
/// let limit = RateLimit::new(&config, Arc::new(clock.clone()))?;
/// limit.try_acquire()?;
/// assert_eq!(limit.try_acquire().unwrap_err().retry_after(), Some(Duration::from_secs(2)));
/// clock.advance(Duration::from_secs(2));
/// limit.try_acquire()?;
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RateLimit {
    limiter: Arc<Limiter>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, InjectedClock, NoOpMiddleware<Nanos>>;

impl RateLimit {
    /// A limit that has rested: its whole burst is free.
    ///
    /// # Errors
    ///
    /// `invalid_input` where a call would come more often than once a nanosecond, or the burst would take
    /// longer than 100 years to come back.
    pub fn new(config: &RateLimitConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let limiter = RateLimiter::direct_with_clock(config.quota()?, InjectedClock(clock));
        Ok(Self { limiter: Arc::new(limiter) })
    }

    /// Takes one call out of the rate.
    ///
    /// # Errors
    ///
    /// `rate_limited` with the time to the next free call, which nobody has reserved.
    #[inline]
    pub fn try_acquire(&self) -> Result<()> {
        self.limiter.check().map_err(|refusal| refused(&refusal, self.limiter.clock()))
    }

    /// Takes one call out of the rate, if there is one, for who does not ask when the next one comes.
    pub(in crate::layers) fn admits(&self) -> bool {
        self.limiter.check().is_ok()
    }
}

#[cold]
pub(super) fn refused(refusal: &NotUntil<Nanos>, clock: &InjectedClock) -> Error {
    let wait = refusal.wait_time_from(GovernorClock::now(clock));
    Error::new(ErrorKind::RateLimited, "stay within the rate limit").with_retry_after(wait)
}

/// The clock as governor reads it; its types stay private.
#[derive(Clone, Debug)]
pub(super) struct InjectedClock(pub(super) Arc<dyn Clock>);

impl GovernorClock for InjectedClock {
    type Instant = Nanos;

    #[inline]
    fn now(&self) -> Nanos {
        Nanos::new(self.0.now().as_nanos())
    }
}
