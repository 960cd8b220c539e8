//! Schedules in a file: what cannot be read, and what is old.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::schedule::{HistoryQuery, JobTemplate, PutSchedule, Schedule, ScheduleKey, Timing};
use agentscale_core::time::ManualClock;
use agentscale_core::{Clock, ErrorKind, ScheduleStore, Tenant};
use agentscale_store::{SqliteJobConfig, SqliteJobQueue, SqliteScheduleStore};
use sqlx::Connection;
use tempfile::TempDir;

struct Scene {
    folder: TempDir,
    clock: ManualClock,
    store: SqliteScheduleStore,
}

impl Scene {
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().expect("it is done"), ManualClock::new());
        let path = folder.path().join("queue.db");
        let config = SqliteJobConfig::default();
        let queue =
            SqliteJobQueue::open_with(path, config, Arc::new(clock.clone())).await.expect("it is done");
        Self { folder, clock, store: SqliteScheduleStore::on(queue) }
    }

    async fn put_due(&self, name: &str) {
        let at = self.clock.unix_micros();
        let key = key(name);
        let job =
            JobTemplate::new("mail".try_into().expect("a name"), "digest".try_into().expect("a name"), "{}");
        let schedule = Schedule::new(key, Timing::Once { at_unix_micros: at }, job);
        self.store.put(PutSchedule::new(schedule)).await.expect("it is done");
    }

    async fn execute(&self, sql: &'static str) {
        let path = self.folder.path().join("queue.db");
        let url = format!("sqlite://{}", path.display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("it is done");
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("it is done");
        connection.close().await.expect("it is done");
    }
}

fn key(name: &str) -> ScheduleKey {
    ScheduleKey::new(&Tenant::new("acme").expect("a name"), name).expect("a name")
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_stops_no_other_one() {
    let scene = Scene::new().await;
    for name in ["bad", "good"] {
        scene.put_due(name).await;
    }
    scene.execute("UPDATE schedules SET definition = '{}' WHERE name = 'bad'").await;
    for fired in [1, 0] {
        let tick = scene.store.tick(100).await.unwrap();
        assert_eq!((tick.fired.len(), tick.more), (fired, false));
    }
    let error = scene.store.get(&key("bad")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(scene.store.pause(&key("bad")).await.unwrap_err().kind(), ErrorKind::Corrupt);
    // It is looked at again, and can be deleted.
    scene.clock.advance(Duration::from_secs(3_601));
    assert_eq!(scene.store.tick(100).await.unwrap().fired, []);
    assert!(scene.store.delete(&key("bad"), None).await.unwrap());
}

#[tokio::test]
async fn history_is_kept_for_its_time_and_removed_in_parts() {
    let scene = Scene::new().await;
    for name in ["a", "b", "c"] {
        scene.put_due(name).await;
    }
    scene.store.tick(100).await.unwrap();
    let store = scene.store.clone().with_history(Duration::from_secs(60));
    scene.clock.advance(Duration::from_secs(60));
    assert_eq!(store.maintain(2).await.unwrap().removed, 0);
    scene.clock.advance(Duration::from_secs(1));
    let first = store.maintain(2).await.unwrap();
    assert_eq!((first.removed, first.more), (2, true));
    let second = store.maintain(2).await.unwrap();
    assert_eq!((second.removed, second.more), (1, false));
    assert_eq!(store.history(HistoryQuery::new(key("a"), 10)).await.unwrap(), []);
}
