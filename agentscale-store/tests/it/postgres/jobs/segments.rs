//! The ring of segments: what a held snapshot keeps is bounded, and what runs long is not lost.

use std::time::Duration;

use agentscale_core::JobQueue;
use agentscale_core::jobs::{Finish, Heartbeat, WorkerId};
use agentscale_core::testkit::TestServer;
use agentscale_store::{PostgresJobConfig, PostgresJobQueue};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::{claim, complete, job, open_with};
use crate::postgres::{Scene, connect};

/// Jobs of a round, each of which turns the ring.
const ROUND: usize = 300;

async fn open(scene: &Scene) -> PostgresJobQueue {
    let mut config = PostgresJobConfig::default();
    config.segment_jobs = 100;
    open_with(scene, config).await
}

/// What the segments of the ring hold on the disk, whether somebody sees it or not.
async fn bytes(scene: &Scene) -> i64 {
    number(
        scene,
        "SELECT sum(pg_relation_size('@.jobs_' || segment))::bigint FROM generate_series(1, 8) segment",
    )
    .await
}

async fn number(scene: &Scene, sql: &str) -> i64 {
    let mut connection = connect(&scene.url).await.expect("the server is there");
    let sql = sql.replace('@', &scene.schema);
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut connection).await.expect("it is read");
    row.try_get::<i64, _>(0).expect("a number")
}

/// The ring has turned since as many jobs came as turn it, and nothing that was left is live.
const SETTLED: &str = "SELECT (cardinality(live) = 2 AND (SELECT last_value FROM @.jobs_seq) - seq < 100)::int::bigint \
                       FROM @.jobs_ring";

/// Until all segments but the current one were truncated: that they were left is made long ago.
async fn settle(scene: &Scene, queue: &PostgresJobQueue) {
    let settled = async {
        loop {
            scene.execute("UPDATE @.jobs_ring SET left_at = array_fill(0::bigint, ARRAY[8])").await;
            assert!(claim(queue, 1).await.is_empty(), "it keeps the ring turning");
            if number(scene, SETTLED).await == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), settled).await.expect("the segments are truncated");
}

async fn round(queue: &PostgresJobQueue) {
    queue.enqueue((0..ROUND).map(|_| job("x")).collect()).await.expect("they are added");
    let claimed = claim(queue, ROUND).await;
    assert_eq!(claimed.len(), ROUND);
    complete(queue, &claimed).await;
}

#[tokio::test]
async fn what_a_held_snapshot_keeps_of_finished_jobs_is_bounded() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let queue = open(&scene).await;
    let mut reader = connect(&scene.url).await.unwrap();
    hold_snapshot(&mut reader).await;
    round(&queue).await;
    let one_round = bytes(&scene).await;
    for _ in 0..6 {
        settle(&scene, &queue).await;
        round(&queue).await;
    }
    assert!(bytes(&scene).await <= 2 * one_round, "{} of {one_round}", bytes(&scene).await);
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.unwrap();
    reader.close().await.unwrap();
    queue.close().await.unwrap();
}

/// Nothing that is deleted from now on may be removed by vacuum.
async fn hold_snapshot(connection: &mut PgConnection) {
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id()")
        .execute(connection)
        .await
        .expect("it begins");
}

#[tokio::test]
async fn a_run_that_is_long_goes_home_and_can_be_renewed_and_finished_there() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let queue = open(&scene).await;
    queue.enqueue(vec![job("long"), job("longer")]).await.unwrap();
    let long = claim(&queue, 2).await;
    round(&queue).await;
    settle(&scene, &queue).await;
    assert_eq!(number(&scene, "SELECT count(*) FROM @.jobs_0").await, 2);
    let runs: Vec<_> = long.iter().map(agentscale_core::jobs::ClaimedJob::run).collect();
    let heard = queue.heartbeat(Heartbeat::new(WorkerId::new(0), runs.clone())).await.unwrap();
    assert!(heard.lost.is_empty());
    complete(&queue, &long[..1]).await;
    queue.finish(vec![Finish::release(runs[1])]).await.unwrap().remove(0).unwrap();
    let again = claim(&queue, 10).await;
    assert_eq!((again.len(), again[0].job.id), (1, long[1].job.id));
    complete(&queue, &again).await;
    queue.close().await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_holds_a_segment_keeps_it_and_nobody_waits_for_it() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let queue = open(&scene).await;
    let mut reader = connect(&scene.url).await.unwrap();
    let sql = format!("BEGIN; SELECT count(*) FROM {}.jobs_1", scene.schema);
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut reader).await.unwrap();
    round(&queue).await;
    for _ in 0..20 {
        scene.execute("UPDATE @.jobs_ring SET left_at = array_fill(0::bigint, ARRAY[8])").await;
        round(&queue).await;
    }
    assert_eq!(number(&scene, "SELECT (1 = ANY (live))::int::bigint FROM @.jobs_ring").await, 1);
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.unwrap();
    settle(&scene, &queue).await;
    queue.close().await.unwrap();
}
