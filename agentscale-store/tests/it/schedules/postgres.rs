//! Schedules in PostgreSQL: who fires at the same time, what cannot be read, and the months of history.

use agentscale_core::jobs::{ClaimJobs, WorkerId};
use agentscale_core::schedule::{HistoryQuery, JobTemplate, PutSchedule, Schedule, ScheduleKey, Timing};
use agentscale_core::testkit::TestServer;
use agentscale_core::{Clock, ErrorKind, JobQueue, ScheduleStore, Tenant};
use agentscale_store::{PostgresJobConfig, PostgresJobQueue, PostgresScheduleStore};
use sqlx::{AssertSqlSafe, Connection, Row};

use crate::postgres::{Scene, clock, connect};

pub(crate) async fn open(scene: &Scene) -> (PostgresJobQueue, PostgresScheduleStore) {
    let mut config = PostgresJobConfig::default();
    config.database = scene.config().database;
    let queue = PostgresJobQueue::open_with(&scene.url, config).await.expect("the queue opens");
    let schedules = PostgresScheduleStore::on(queue.clone()).await.expect("the tables are made");
    (queue, schedules)
}

fn key(name: &str) -> ScheduleKey {
    ScheduleKey::new(&Tenant::new("acme").expect("a name"), name).expect("a name")
}

async fn put_due(store: &PostgresScheduleStore, name: &str) {
    let timing = Timing::Once { at_unix_micros: clock().unix_micros() };
    let job =
        JobTemplate::new("mail".try_into().expect("a name"), "digest".try_into().expect("a name"), "{}");
    store.put(PutSchedule::new(Schedule::new(key(name), timing, job))).await.expect("it is done");
}

async fn fired(store: &PostgresScheduleStore) -> Vec<String> {
    let tick = store.tick(100).await.expect("it is done");
    tick.fired.iter().map(|fired| fired.key.name.as_str().to_owned()).collect()
}

#[tokio::test]
async fn what_another_one_is_firing_is_passed_over_and_fired_when_that_one_dies() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let (queue, store) = open(&scene).await;
    for name in ["a", "b"] {
        put_due(&store, name).await;
    }
    // As a process that was frozen within its tick: it has fired, and not committed.
    let mut frozen = connect(&scene.url).await.unwrap();
    let mut transaction = frozen.begin().await.unwrap();
    let sql = format!("UPDATE {}.schedules SET next_run_at = NULL WHERE name = 'a'", scene.schema);
    sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap();
    assert_eq!(fired(&store).await, ["b"]);
    assert_eq!(fired(&store).await.len(), 0);
    transaction.rollback().await.unwrap();
    assert_eq!(fired(&store).await, ["a"]);
    let claim = ClaimJobs::new(WorkerId::new(0), "mail".try_into().unwrap(), 10);
    assert_eq!(queue.claim(claim).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_stops_no_other_one() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let (_, store) = open(&scene).await;
    for name in ["bad", "good"] {
        put_due(&store, name).await;
    }
    scene.execute("UPDATE @.schedules SET definition = '{}' WHERE name = 'bad'").await;
    assert_eq!(fired(&store).await, ["good"]);
    assert_eq!(fired(&store).await.len(), 0);
    assert_eq!(store.get(&key("bad")).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(store.delete(&key("bad"), None).await.unwrap());
}

#[tokio::test]
async fn history_stands_in_the_partition_of_its_month_once_maintenance_has_made_it() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let (_, store) = open(&scene).await;
    let count = async |table: &str| {
        let mut connection = connect(&scene.url).await.unwrap();
        let sql = format!("SELECT count(*) FROM {}.{table}", scene.schema);
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        row.get::<i64, _>(0)
    };
    for (number, name) in ["before", "behind"].into_iter().enumerate() {
        put_due(&store, name).await;
        assert_eq!(fired(&store).await, [name]);
        if number == 0 {
            assert_eq!(count("schedule_executions_default").await, 1);
            store.maintain(100).await.unwrap();
        }
        assert_eq!(count("schedule_executions_default").await, 0);
        assert_eq!(store.history(HistoryQuery::new(key(name), 10)).await.unwrap().len(), 1);
    }
    assert_eq!(count("schedule_executions").await, 2);
}
