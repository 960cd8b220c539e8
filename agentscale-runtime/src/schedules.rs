//! Fires schedules: the loop that ticks, and the events that it waits for.

mod config;
mod events;
mod stats;
mod ticking;
mod topics;

use std::sync::Arc;

use agentscale_core::{Result, ScheduleStore, Transport};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use config::SchedulerConfig;
use stats::Counters;
pub use stats::SchedulerStats;

/// Fires the schedules of a store, as long as it lives. Any number of processes run one each and share the work.
///
/// It ticks about once a second, sooner where something is due sooner, with some chance in it so that processes do not
/// tick together. With a transport it subscribes to the topics that schedules wait for, in one queue group: an event is
/// acknowledged when its jobs are enqueued, and comes again until then.
///
/// ```
/// use std::sync::Arc;
/// use agentscale_core::{Result, ScheduleStore, Transport};
/// use agentscale_runtime::Scheduler;
///
/// async fn run(store: Arc<dyn ScheduleStore>, transport: Arc<dyn Transport>) -> Result<()> {
///     let scheduler = Scheduler::new(store).with_transport(transport).start()?;
///     // … until the process ends.
///     scheduler.close().await;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Scheduler {
    store: Arc<dyn ScheduleStore>,
    transport: Option<Arc<dyn Transport>>,
    config: SchedulerConfig,
}

impl Scheduler {
    /// A scheduler with the default configuration.
    pub fn new(store: Arc<dyn ScheduleStore>) -> Self {
        Self { store, transport: None, config: SchedulerConfig::default() }
    }

    /// Waits for events of this transport.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Sets the configuration.
    #[must_use]
    pub fn with_config(mut self, config: SchedulerConfig) -> Self {
        self.config = config;
        self
    }

    /// Begins to tick. Called within a tokio runtime.
    ///
    /// # Errors
    /// `invalid_input` for a configuration that cannot work, with the name of the field.
    pub fn start(self) -> Result<RunningScheduler> {
        self.config.check()?;
        let (stop, counters, mut tasks) =
            (CancellationToken::new(), Arc::<Counters>::default(), JoinSet::new());
        tasks.spawn(ticking::run(self.store.clone(), self.config.clone(), counters.clone(), stop.clone()));
        if let Some(transport) = self.transport {
            tasks.spawn(topics::run(self.store, transport, self.config, counters.clone(), stop.clone()));
        }
        Ok(RunningScheduler { stop, counters, tasks })
    }
}

/// A scheduler at work. Dropping it stops it where it stands; [`close`](Self::close) lets it finish its tick.
#[derive(Debug)]
#[must_use = "the scheduler stops when it is dropped"]
pub struct RunningScheduler {
    stop: CancellationToken,
    counters: Arc<Counters>,
    /// They end with this.
    tasks: JoinSet<()>,
}

impl RunningScheduler {
    /// What it has done so far.
    pub fn stats(&self) -> SchedulerStats {
        self.counters.stats()
    }

    /// Finishes the tick that is under way and stops. Events that were not taken go to others, or come again.
    pub async fn close(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests;
