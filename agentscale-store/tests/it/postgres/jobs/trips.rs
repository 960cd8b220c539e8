//! What passes between a queue and its server.

use std::time::Duration;

use agentscale_core::JobQueue;
use agentscale_core::testkit::TestServer;
use agentscale_store::{PostgresJobConfig, PostgresJobQueue};

use super::{claim, complete, job, work};
use crate::postgres::Scene;
use crate::postgres::relay::Relay;

/// Behind an enqueue it is announced, and the pool asks a connection that it gets back whether it is well.
const LATER: Duration = Duration::from_millis(10);

async fn open(scene: &Scene, relay: &Relay) -> PostgresJobQueue {
    let mut config = PostgresJobConfig::default();
    config.database = scene.config().database;
    PostgresJobQueue::open_with(relay.url(), config).await.expect("the queue opens")
}

#[tokio::test]
async fn an_enqueue_a_claim_and_a_batch_of_finishes_are_one_round_trip_each() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let relay = Relay::before(&scene.url).await;
    let queue = open(&scene, &relay).await;
    let trips = |before: u64| relay.trips() - before;
    let mut fewest = [u64::MAX; 3];
    // Statements are prepared at first, and who looks after the ring speaks now and then.
    for _ in 0..50 {
        let before = relay.trips();
        queue.enqueue((0..2).map(|_| job("x")).collect()).await.unwrap();
        fewest[0] = fewest[0].min(trips(before));
        tokio::time::sleep(LATER).await;
        let before = relay.trips();
        let claimed = claim(&queue, 2).await;
        fewest[1] = fewest[1].min(trips(before));
        tokio::time::sleep(LATER).await;
        let before = relay.trips();
        complete(&queue, &claimed).await;
        fewest[2] = fewest[2].min(trips(before));
    }
    assert_eq!(fewest, [1, 1, 1]);
    queue.close().await.unwrap();
}

#[tokio::test]
async fn behind_a_pooler_nothing_is_kept_in_a_session() {
    let Some(scene) = Scene::new(TestServer::PgBouncer) else { return };
    let relay = Relay::before(&scene.url).await;
    let queue = open(&scene, &relay).await;
    queue.enqueue(vec![job("x")]).await.unwrap();
    assert_eq!(queue.changed(&[work()], Duration::ZERO).await.unwrap(), [work()]);
    complete(&queue, &claim(&queue, 10).await).await;
    assert_eq!(relay.named_statements(), 0);
    queue.close().await.unwrap();
}
