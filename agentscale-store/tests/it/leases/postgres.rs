//! Leases in PostgreSQL: the server's clock, its restart, and many who ask at once through a pooler.

use std::time::Duration;

use agentscale_core::lease::{Epoch, ReleaseRequest, RenewRequest};
use agentscale_core::testkit::TestServer;
use agentscale_core::{ErrorKind, LeaseStore};
use agentscale_store::PostgresLeaseStore;
use agentscale_store::postgres::Postgres;

use super::scene::{key, request};
use crate::postgres::Scene;

const LONG: Duration = Duration::from_secs(3_600);

pub(crate) async fn open(scene: &Scene) -> PostgresLeaseStore {
    let postgres = Postgres::open(&scene.url, &scene.config().database, 0).await.expect("the database opens");
    PostgresLeaseStore::on(postgres).await.expect("the tables are made")
}

#[tokio::test]
async fn leases_share_the_connections_of_checkpoints() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let checkpoints = scene.open().await;
    let leases = PostgresLeaseStore::on(checkpoints.postgres().clone()).await.unwrap();
    leases.acquire(request("alice", LONG)).await.unwrap();
    checkpoints.close().await.unwrap();
    assert_eq!(leases.acquire(request("bob", LONG)).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_clock_that_steps_back_keeps_nobody_out_for_longer_than_the_time_of_the_lease() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let store = open(&scene).await;
    let ttl = Duration::from_millis(300);
    let grant = store.acquire(request("alice", ttl)).await.unwrap();
    // As after a step back of the server's clock by ten minutes.
    scene.execute("UPDATE @.leases SET since = since + 600000000, until = until + 600000000").await;
    let refused = store.acquire(request("bob", ttl)).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(ttl));
    tokio::time::sleep(ttl).await;
    assert!(store.acquire(request("bob", ttl)).await.unwrap().epoch > grant.epoch);
}

#[tokio::test]
async fn holders_come_one_after_the_other_however_many_ask() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { return };
        let store = open(&scene).await;
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut epochs = Vec::new();
                    while epochs.len() < 5 {
                        match store.acquire(request(&format!("holder-{number}"), LONG)).await {
                            Ok(grant) => {
                                store.renew(RenewRequest::new(key(), grant.epoch, LONG)).await.unwrap();
                                store.release(ReleaseRequest::new(key(), grant.epoch)).await.unwrap();
                                epochs.push(grant.epoch);
                            }
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                        }
                    }
                    epochs
                })
            })
            .collect();
        let mut epochs = Vec::new();
        for task in tasks {
            epochs.extend(task.await.unwrap());
        }
        epochs.sort_unstable();
        let each_once: Vec<Epoch> = (1..=40).map(|counter| Epoch { incarnation: 0, counter }).collect();
        assert_eq!(epochs, each_once);
    }
}
