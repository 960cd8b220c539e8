use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use super::demand::{CLASSES, Count, Demand, Reserve};
use super::{PriorityShedConfig, ShedPermit};
use crate::layers::AdaptiveConcurrency;
use crate::{Error, ErrorKind, Priority, Result};

/// A bound of calls in flight of which the urgent classes get first what they ask for, shared by its clones.
///
/// What a class may use follows what the classes above it asked for recently: about as many places as they need
/// on average are not given to it, and some stay free for what comes by chance close together. Where the classes
/// above ask for nothing, a class gets all but 5 %; where they ask for more than there is, it gets nothing. All
/// classes but the highest share a half until 128 calls have shown who asks, and from then on until calls have ended
/// those below the highest class that was seen share what that class leaves, were this ten times the load that there is
/// room for. What nobody above asks for is given away bit by bit. Nothing of this needs a clock: what counts as recent
/// is a number of calls that ended.
///
/// In simulations at 2 and at 10 times the load that 200 places can take, of mixes by chance and calls that take equally
/// or exponentially long, 90 % of the capacity and more were used, and the highest class was served in 99.9 % while it
/// asked for no more than half of the capacity, over 600 times the time of a call from the first call on. The fewer places
/// there are, the more chance weighs: with 100, 87 % were used in the worst mix; with 50, 85 %, and about 1 % of the
/// highest class were refused. No rule keeps both there: chance makes a class that needs 25 of 50 places need some 10
/// more that are free.
///
/// ```
/// use agentscale_core::{ErrorKind, Priority};
/// use agentscale_core::layers::{PriorityShed, PriorityShedConfig};
///
/// let config = PriorityShedConfig { max_in_flight: 20, ..PriorityShedConfig::default() };
/// let shed = PriorityShed::new(&config)?;
/// let permits: Vec<_> = std::iter::from_fn(|| shed.try_acquire(Priority::Evaluation).ok()).collect();
/// assert_eq!(permits.len(), 10);
/// assert_eq!(shed.try_acquire(Priority::Evaluation).unwrap_err().kind(), ErrorKind::Overloaded);
/// assert!(shed.try_acquire(Priority::Incident).is_ok());
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PriorityShed {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    config: PriorityShedConfig,
    adaptive: Option<AdaptiveConcurrency>,
    classes: [Class; CLASSES],
    demand: Mutex<Demand>,
}

#[derive(Debug, Default)]
struct Class {
    /// The calls admitted so far, which may overflow, above the calls in flight: they change together.
    calls: AtomicU64,
    refused: AtomicU32,
    /// A [`Reserve`]: headroom above places for the classes above; written under the lock of the demand.
    reserve: AtomicU64,
}

const ONE_CALL: u64 = 1 << 32 | 1;

/// A class looks whether the period is over at each so many of its calls.
const LOOK_EVERY: u32 = 32;

impl PriorityShed {
    /// A shed without calls in flight.
    ///
    /// # Errors
    ///
    /// `invalid_input`, with the field that is zero or beyond its bounds as context.
    pub fn new(config: &PriorityShedConfig) -> Result<Self> {
        config.check()?;
        Ok(Self::build(config.clone(), None))
    }

    /// A shed like this one, without calls in flight, whose bound falls and rises with the limit of `adaptive` too.
    /// The calls that it lets through ask that limit next.
    #[must_use]
    pub fn with_limit_of(&self, adaptive: AdaptiveConcurrency) -> Self {
        Self::build(self.shared.config.clone(), Some(adaptive))
    }

    /// Lets a call of this class through or refuses it. The permit is held until the call ends.
    ///
    /// # Errors
    ///
    /// `overloaded` where there is no room for this class.
    #[inline]
    pub fn try_acquire(&self, priority: Priority) -> Result<ShedPermit> {
        let class = priority as usize;
        if self.shared.admit(class) {
            Ok(ShedPermit::new(self.shared.clone(), class))
        } else {
            Err(no_room())
        }
    }

    /// How many permits are out, of all classes.
    #[inline]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight(0) as usize
    }

    fn build(config: PriorityShedConfig, adaptive: Option<AdaptiveConcurrency>) -> Self {
        let demand = Demand::new(&config);
        let shared = Shared { classes: Default::default(), demand: Mutex::new(demand), config, adaptive };
        let limit = shared.limit();
        if let Ok(mut demand) = shared.demand.lock() {
            shared.keep(demand.initial(limit));
        }
        Self { shared: Arc::new(shared) }
    }
}

impl Shared {
    /// Takes the place first and looks then, so that two calls cannot both take the last one.
    #[inline]
    fn admit(&self, class: usize) -> bool {
        let own = &self.classes[class];
        let before = own.calls.fetch_add(ONE_CALL, Ordering::SeqCst);
        let has_room = self.has_room(class);
        if !has_room {
            own.calls.fetch_sub(ONE_CALL, Ordering::SeqCst);
        }
        let calls =
            if has_room { (before >> 32) as u32 } else { own.refused.fetch_add(1, Ordering::Relaxed) };
        if calls % LOOK_EVERY == LOOK_EVERY - 1 {
            self.look_at_the_demand();
        }
        has_room
    }

    #[inline]
    pub(super) fn release(&self, class: usize) {
        self.classes[class].calls.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether the calls in flight, with one of this class that was just counted, are within their bounds.
    #[inline]
    fn has_room(&self, class: usize) -> bool {
        let limit = self.limit();
        let (headroom, above) = self.classes[class].reserve();
        let (mut all, mut own_and_below) = (0, 0);
        for (of, calls) in self.classes.iter().map(Class::in_flight).enumerate() {
            all += calls;
            own_and_below += if of < class { 0 } else { calls };
        }
        all <= limit.saturating_sub(headroom) && own_and_below <= limit.saturating_sub(above)
    }

    /// Of this class and those below it.
    #[inline]
    fn in_flight(&self, class: usize) -> u32 {
        self.classes[class..].iter().map(Class::in_flight).sum()
    }

    #[inline]
    fn limit(&self) -> u32 {
        let fixed = self.config.max_in_flight;
        self.adaptive.as_ref().map_or(fixed, |adaptive| adaptive.limit().min(fixed))
    }

    /// Whoever finds the lock taken goes on: another call looks already.
    #[cold]
    fn look_at_the_demand(&self) {
        let mut demand = match self.demand.try_lock() {
            Ok(demand) => demand,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let counts = std::array::from_fn(|class| self.classes[class].count());
        if let Some(reserves) = demand.look(&counts, self.limit()) {
            self.keep(reserves);
        }
    }

    fn keep(&self, reserves: [Reserve; CLASSES]) {
        for (class, reserve) in self.classes.iter().zip(reserves) {
            let word = u64::from(reserve.headroom) << 32 | u64::from(reserve.above);
            class.reserve.store(word, Ordering::Relaxed);
        }
    }
}

impl Class {
    #[inline]
    fn in_flight(&self) -> u32 {
        self.calls.load(Ordering::SeqCst) as u32
    }

    /// The headroom and the places for the classes above.
    #[inline]
    fn reserve(&self) -> (u32, u32) {
        let word = self.reserve.load(Ordering::Relaxed);
        ((word >> 32) as u32, word as u32)
    }

    fn count(&self) -> Count {
        let calls = self.calls.load(Ordering::SeqCst);
        let refused = self.refused.load(Ordering::Relaxed);
        Count { admitted: (calls >> 32) as u32, refused, in_flight: calls as u32 }
    }
}

#[cold]
fn no_room() -> Error {
    Error::new(ErrorKind::Overloaded, "find room for the priority of a call")
}
