use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::time::{Clock, ManualClock, Monotonic};
use crate::{Error, ErrorKind, Result};

/// A runtime on this thread whose time stands still while there is work and jumps to the next timer when there is none:
/// hours pass in milliseconds, and no test sleeps in vain.
///
/// The thread's random numbers (`fastrand`: ids, jitter) are seeded; the branch that `tokio::select!` takes first is not.
///
/// ```
/// use std::time::Duration;
/// use agentscale_core::testkit::PausedRuntime;
/// use agentscale_core::time::Clock;
///
/// # fn main() -> agentscale_core::Result<()> {
/// let runtime = PausedRuntime::new()?;
/// let clock = runtime.clock();
/// runtime.block_on(async {
///     let before = clock.unix_micros();
///     tokio::time::sleep(Duration::from_secs(3_600)).await;
///     assert_eq!(clock.unix_micros() - before, 3_600_000_000);
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PausedRuntime {
    runtime: Runtime,
    clock: PausedClock,
    seed: u64,
}

impl PausedRuntime {
    /// A runtime that gives the same random numbers in every run.
    ///
    /// # Errors
    /// `internal` where the machine gives no event queue.
    pub fn new() -> Result<Self> {
        let runtime =
            Builder::new_current_thread().enable_all().start_paused(true).build().map_err(|error| {
                Error::new(ErrorKind::Internal, "start paused runtime").with_source(error)
            })?;
        let clock = PausedClock { origin: runtime.block_on(async { Instant::now() }) };
        Ok(Self { runtime, clock, seed: 0 })
    }

    /// Gives other random numbers.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The runtime's clock.
    pub fn clock(&self) -> PausedClock {
        self.clock
    }

    /// Runs a test to its end.
    ///
    /// # Panics
    /// Where the test panics, and within another runtime.
    pub fn block_on<F: Future>(&self, test: F) -> F::Output {
        fastrand::seed(self.seed);
        self.runtime.block_on(test)
    }

    /// Runs a test that ends within `limit` of the runtime's time: what hangs fails at once.
    ///
    /// # Panics
    /// As [`block_on`](Self::block_on), and when the limit passes.
    pub fn block_on_within<F: Future>(&self, limit: Duration, test: F) -> F::Output {
        self.block_on(async {
            tokio::time::timeout(limit, test)
                .await
                .unwrap_or_else(|_| panic!("test still waits after {limit:?}"))
        })
    }
}

/// The clock of a [`PausedRuntime`]: its monotonic and its wall time both move with the runtime's timers, so that
/// deadlines pass. Read it within the runtime; elsewhere it runs with the machine.
#[derive(Clone, Copy, Debug)]
pub struct PausedClock {
    origin: Instant,
}

impl Clock for PausedClock {
    fn now(&self) -> Monotonic {
        Monotonic::ZERO + self.origin.elapsed()
    }

    fn unix_micros(&self) -> u64 {
        ManualClock::UNIX_START + self.now().as_nanos() / 1_000
    }
}
