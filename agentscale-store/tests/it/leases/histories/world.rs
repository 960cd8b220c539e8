//! One history: what all share, and its chances.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentscale_core::lease::LeaseWatch;
use agentscale_store::InMemoryLeaseStore;
use fastrand::Rng;
use tokio::time::{Instant, sleep, timeout};

use super::check::{Answer, Ask, Operation, is_linearizable};
use super::owner;
use super::register::Register;
use super::store::StoreClock;

pub(crate) const TTL: Duration = Duration::from_secs(1);
const LENGTH: Duration = Duration::from_secs(8);
/// More are lost on their way.
const MOST_OPERATIONS: usize = 120;
const OWNERS: usize = 3;
/// Whoever still waits then, hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A promise that the store breaks, so that the checks are seen to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    EpochsGoBack,
    EndsEarly,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: InMemoryLeaseStore,
    pub(crate) clock: StoreClock,
    pub(crate) fault: Fault,
    start: Instant,
    clock_steps: bool,
    chances: Mutex<Rng>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Of all events, in one order.
    moment: u64,
    /// With whether the store has done it.
    history: Vec<(Operation, bool)>,
    register: Register,
    holders: Vec<LeaseWatch>,
    seen: BTreeMap<&'static str, u64>,
    wrong: Option<String>,
}

impl World {
    /// How often each thing was seen.
    ///
    /// # Errors
    /// What was wrong.
    pub(crate) fn run(seed: u64, fault: Fault) -> Result<BTreeMap<&'static str, u64>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("this machine starts runtimes");
        fastrand::seed(seed);
        runtime.block_on(async {
            let world = Self::new(seed, fault);
            let mut tasks: Vec<_> =
                (0..OWNERS).map(|number| tokio::spawn(owner::live(world.clone(), number))).collect();
            if world.clock_steps {
                tasks.push(tokio::spawn(step(world.clone())));
            }
            for task in tasks {
                timeout(PATIENCE, task)
                    .await
                    .map_err(|_| "an owner hangs")?
                    .map_err(|error| error.to_string())?;
            }
            world.judge()
        })
    }

    fn new(seed: u64, fault: Fault) -> Arc<Self> {
        let mut chances = Rng::with_seed(seed);
        let clock = StoreClock::new(chances.f64().mul_add(0.1, 0.95), fault);
        Arc::new(Self {
            store: InMemoryLeaseStore::new().with_clock(Arc::new(clock.clone())),
            clock,
            fault,
            start: Instant::now(),
            clock_steps: chances.bool(),
            chances: Mutex::new(chances),
            kept: Mutex::default(),
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.start.elapsed() > LENGTH || self.kept().history.len() > MOST_OPERATIONS - 30
    }

    pub(crate) fn chance(&self, of_a_hundred: u32) -> bool {
        self.chances().u32(0..100) < of_a_hundred
    }

    pub(crate) fn up_to(&self, longest: Duration) -> Duration {
        Duration::from_millis(
            self.chances().u64(1..=u64::try_from(longest.as_millis()).expect("it is short")),
        )
    }

    /// The time of a message on its way.
    pub(crate) fn on_the_way(&self) -> Duration {
        let longest = match self.chances().u32(0..100) {
            0..3 => TTL * 3,
            3..13 => TTL / 2,
            _ => TTL / 50,
        };
        self.up_to(longest)
    }

    /// Notes that something was asked; `None` where there is no room for more.
    pub(crate) fn ask(&self, ask: Ask) -> Option<usize> {
        let mut kept = self.kept();
        if kept.history.len() == MOST_OPERATIONS {
            return None;
        }
        let asked = kept.next();
        kept.history.push((Operation { ask, asked, clock: 0, ended: 0, answer: None }, false));
        Some(kept.history.len() - 1)
    }

    /// The store has done it, when its clock said this.
    pub(crate) fn done(&self, at: usize, clock: u64) {
        let mut kept = self.kept();
        let ended = kept.next();
        let (operation, was_done) = &mut kept.history[at];
        (operation.clock, operation.ended, *was_done) = (clock, ended, true);
    }

    pub(crate) fn answered(&self, at: usize, answer: Answer) {
        let mut kept = self.kept();
        let ended = kept.next();
        let (operation, _) = &mut kept.history[at];
        (operation.ended, operation.answer) = (ended, Some(answer));
    }

    pub(crate) fn saw(&self, what: &'static str) {
        *self.kept().seen.entry(what).or_insert(0) += 1;
    }

    pub(crate) fn holds(&self, watch: LeaseWatch) {
        self.kept().holders.push(watch);
    }

    /// Called by one who believes that it holds the lease. Where no clock stepped, nobody else does.
    pub(crate) fn believes(&self) {
        let mut kept = self.kept();
        let holders = kept.holders.iter().filter(|holder| holder.check().is_ok()).count();
        if holders > 1 && !self.clock_steps {
            kept.wrong = Some(format!("{holders} hold the lease at once"));
        }
    }

    pub(crate) fn write(&self, epoch: agentscale_core::lease::Epoch, holder: &str) {
        let accepted = self.kept().register.write(epoch, holder);
        self.saw(if accepted { "writes accepted" } else { "writes refused" });
    }

    fn judge(&self) -> Result<BTreeMap<&'static str, u64>, String> {
        let mut kept = self.kept();
        if let Some(wrong) = kept.wrong.take() {
            return Err(wrong);
        }
        kept.register.check()?;
        let history: Vec<Operation> =
            kept.history.iter().filter(|(_, done)| *done).map(|(operation, _)| operation.clone()).collect();
        kept.seen.insert("operations", history.len() as u64);
        // That an epoch goes back is for the register to find.
        if self.fault == Fault::EpochsGoBack || is_linearizable(&history) {
            return Ok(std::mem::take(&mut kept.seen));
        }
        Err(format!("what the store answered is not linearizable: {history:#?}"))
    }

    fn chances(&self) -> MutexGuard<'_, Rng> {
        self.chances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn next(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }
}

/// Steps the store's clock a few times, by a little or by ten minutes, either way.
async fn step(world: Arc<World>) {
    for _ in 0..3 {
        sleep(world.up_to(LENGTH / 3)).await;
        let far = if world.chance(50) { Duration::from_secs(600) } else { world.up_to(TTL) };
        world.clock.step(far, world.chance(50));
        world.saw("clock steps");
    }
}
