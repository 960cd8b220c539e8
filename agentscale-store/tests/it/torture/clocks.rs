//! The clock of the host steps while agents commit and retention goes by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use agentscale_core::Clock;
use agentscale_core::checkpoint::RetentionPolicy;
use agentscale_core::time::{Monotonic, SystemClock};
use agentscale_store::{SqliteCheckpointConfig, SqliteCheckpointStore};

use super::fleet::Fleet;
use super::rounds;

const STEP: Duration = Duration::from_secs(600);

/// The system's, whose wall time is put forward and back. Its monotonic time is not, as no system's is.
#[derive(Clone, Debug)]
struct SteppedClock {
    system: SystemClock,
    micros: Arc<AtomicI64>,
}

impl SteppedClock {
    fn new() -> Self {
        Self { system: SystemClock::new(), micros: Arc::default() }
    }

    fn step(&self, by: i64) {
        self.micros.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Monotonic {
        self.system.now()
    }

    fn unix_micros(&self) -> u64 {
        self.system.unix_micros().saturating_add_signed(self.micros.load(Ordering::Relaxed))
    }
}

/// Keeps little, and nothing that is older than half a step.
fn retention() -> RetentionPolicy {
    RetentionPolicy { keep_last: 5, max_age: Some(STEP / 2), keep_tagged: true }
}

async fn step_to_and_fro(clock: &SteppedClock, fleet: &Fleet) {
    let step = i64::try_from(STEP.as_micros()).expect("ten minutes");
    for by in [step, -step, -step, step].into_iter().cycle().take(rounds(8, 20)) {
        fleet.goes_on(100).await;
        clock.step(by);
    }
    fleet.goes_on(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_of_the_clock_by_ten_minutes_lose_nothing_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let clock = SteppedClock::new();
    let mut config = SqliteCheckpointConfig::default();
    config.retention = Some(retention());
    let path = folder.path().join("checkpoints.db");
    let store = SqliteCheckpointStore::open_with(&path, config, Arc::new(clock.clone())).await.unwrap();
    let fleet = Fleet::start(&store).await;
    step_to_and_fro(&clock, &fleet).await;
    fleet.stop(&store).await;
    store.close().await.unwrap();
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_of_the_clock_by_ten_minutes_lose_nothing_on_a_server() {
    use agentscale_core::testkit::TestServer;
    use agentscale_store::PostgresCheckpointStore;

    use crate::postgres::Scene;

    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let clock = SteppedClock::new();
    let mut config = scene.config();
    config.retention = Some(retention());
    let clock_of_store = Arc::new(clock.clone());
    let store = PostgresCheckpointStore::open_with(&scene.url, config, clock_of_store).await.unwrap();
    let fleet = Fleet::start(&store).await;
    step_to_and_fro(&clock, &fleet).await;
    fleet.stop(&store).await;
    store.close().await.unwrap();
}
