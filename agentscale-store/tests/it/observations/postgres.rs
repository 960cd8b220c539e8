use std::sync::Arc;
use std::time::Duration;

use agentscale_core::Tenant;
use agentscale_core::observe::{ObservationLevel, Observer as _};
use agentscale_core::testkit::TestServer;
use agentscale_core::time::SystemClock;
use agentscale_store::observations::{
    ObservationLogConfig, ObservationQuery, ObservationStore as _, PostgresObservationConfig,
};
use agentscale_store::postgres::{Bound, Postgres};
use agentscale_store::{ObservationLog, PostgresObservationStore};
use sqlx::Row as _;

use super::log::report;
use super::retirement::{self, assert_archived, fill};
use super::scene::{DAY, NOVEMBER, all, number, numbered, stamp, tenant};
use crate::postgres::Scene;
use crate::postgres::relay::Relay;

pub(crate) async fn open(scene: &Scene, tenants: &[&str]) -> PostgresObservationStore {
    let mut config = PostgresObservationConfig::default();
    config.tenants = tenants.iter().map(|name| Tenant::new(*name).expect("a name")).collect();
    open_with(scene, config).await
}

pub(crate) async fn open_with(scene: &Scene, config: PostgresObservationConfig) -> PostgresObservationStore {
    let postgres = Postgres::open(&scene.url, &scene.config().database, 0).await.expect("the database opens");
    PostgresObservationStore::on(postgres, config).await.expect("the tables are made")
}

#[tokio::test]
async fn what_is_older_than_six_months_is_archived_and_its_month_dropped() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { return };
        let folder = tempfile::tempdir().unwrap();
        let mut config = PostgresObservationConfig::default();
        config.retirement = retirement::config(folder.path());
        let store = open_with(&scene, config).await;
        // As in March, when nothing was too old.
        store.maintain(NOVEMBER - 244 * DAY).await.unwrap();
        fill(&store, 1_500).await;
        let retired = store.maintain(NOVEMBER).await.unwrap().retired;
        assert_eq!(retired, ["observations_2026_03", "observations_2026_04"]);
        let left = all(&store, ObservationQuery::of(tenant()).limit(1_000)).await;
        assert_eq!(left.iter().map(number).collect::<Vec<_>>(), (3_000..7_500).collect::<Vec<_>>());
        assert_archived(&folder.path().join("observations/2026_03.jsonl"), 0..1_500);
        assert_archived(&folder.path().join("observations/2026_04.jsonl"), 1_500..3_000);
    }
}

#[tokio::test]
async fn while_the_server_is_gone_the_buffer_holds_what_fits_and_all_of_it_arrives_once() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let relay = Relay::before(&scene.url).await;
    let mut database = scene.config().database;
    database.unreachable_after = Duration::from_millis(400);
    let postgres = Postgres::open(relay.url(), &database, 0).await.unwrap();
    let store = PostgresObservationStore::on(postgres, PostgresObservationConfig::default()).await.unwrap();
    let mut config = ObservationLogConfig::default();
    config.capacity = 2_000;
    let log = ObservationLog::new(Arc::new(store), &config, Arc::new(SystemClock::new()));
    (0..500).for_each(|n| log.emit(numbered(ObservationLevel::Info, n)));
    log.flush().await.unwrap();
    relay.fall_silent();
    // One batch may be on its way, acknowledged to nobody.
    (500..600).for_each(|n| log.emit(numbered(ObservationLevel::Info, n)));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    (600..4_000).for_each(|n| log.emit(numbered(ObservationLevel::Debug, n)));
    relay.speak();
    log.flush().await.unwrap();
    let found = all(&*log.store(), ObservationQuery::of(tenant()).limit(1_000)).await;
    let dropped = log.stats().dropped.of(ObservationLevel::Debug);
    let kept = (0..600).chain(600 + dropped..4_000);
    assert_eq!(found.iter().map(number).collect::<Vec<_>>(), kept.collect::<Vec<_>>());
    assert!((1_300..=1_400).contains(&dropped), "{dropped} were dropped");
    let told = all(&*log.store(), ObservationQuery::of_no_tenant()).await;
    assert_eq!(told.iter().map(|told| report(told).0).sum::<u64>(), dropped);
    log.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_ends_its_connections_costs_no_observation() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let store = open(&scene, &[]).await;
    let log =
        ObservationLog::new(Arc::new(store), &ObservationLogConfig::default(), Arc::new(SystemClock::new()));
    for round in 0..20 {
        (round * 200..(round + 1) * 200).for_each(|n| log.emit(numbered(ObservationLevel::Info, n)));
        // As when it restarts: whatever they were doing.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%@.obs%'";
        scene.execute(end).await;
    }
    log.close().await.unwrap();
    let store = open(&scene, &[]).await;
    let found = all(&store, ObservationQuery::of(tenant()).limit(1_000)).await;
    assert_eq!(found.iter().map(number).collect::<Vec<_>>(), (0..4_000).collect::<Vec<_>>());
    assert_eq!(log.stats().dropped.total(), 0);
}

#[tokio::test]
async fn a_month_begins_while_instances_write() {
    let Some(scene) = Scene::new(TestServer::PgBouncer) else { return };
    let store = open(&scene, &[]).await;
    // Two years from now, for which nothing was made.
    let turn = NOVEMBER + 730 * DAY;
    let writers = (0..3_u64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let config = ObservationLogConfig::default();
            let log = ObservationLog::new(Arc::new(store), &config, Arc::new(SystemClock::new()));
            for n in 0..1_000 {
                let mut observation = numbered(ObservationLevel::Info, writer * 1_000 + n);
                observation.stamp = stamp(turn - 500 + n);
                log.emit(observation);
                if n % 100 == 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            log.flush().await.expect("it is written");
            log.stats().dropped.total()
        })
    });
    let writers: Vec<_> = writers.collect();
    for before in [DAY, 0] {
        store.maintain(turn - before).await.unwrap();
    }
    for writer in writers {
        assert_eq!(writer.await.unwrap(), 0);
    }
    store.maintain(turn).await.unwrap();
    assert_eq!(all(&store, ObservationQuery::of(tenant()).limit(1_000)).await.len(), 3_000);
    let postgres = Postgres::open(&scene.url, &scene.config().database, 0).await.unwrap();
    let left = postgres.statement("count", "SELECT count(*) FROM @.observations_default");
    let left = postgres.fetch(&left, Bound::new()).await.unwrap();
    assert_eq!(left[0].get::<i64, _>(0), 0);
}
