//! A server that cannot be reached: who waits for it gets an error in time, and nobody restarts when it is back.

use std::time::Duration;

use agentscale_core::checkpoint::{ClaimRequest, LoadRequest};
use agentscale_core::testkit::TestServer;
use agentscale_core::{CheckpointStore, Error, ErrorKind, Retry};
use agentscale_store::PostgresCheckpointStore;
use tokio::time::timeout;

use super::relay::Relay;
use super::{Scene, clock};
use crate::scene::{Owner, thread};

/// Far below the 30 s that a free connection and a statement may take.
const IN_TIME: Duration = Duration::from_secs(10);

async fn open(scene: &Scene, url: &str) -> PostgresCheckpointStore {
    let mut config = scene.config();
    config.database.unreachable_after = Duration::from_secs(1);
    PostgresCheckpointStore::open_with(url, config, clock()).await.expect("the store opens")
}

async fn refused<T: std::fmt::Debug>(asked: impl Future<Output = Result<T, Error>>) {
    let error = timeout(IN_TIME, asked).await.expect("it is answered in time").expect_err("nobody is there");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_unavailable_in_time_and_used_again_when_it_is_back() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let relay = Relay::before(&scene.url).await;
        let store = open(&scene, relay.url()).await;
        let mut owner = Owner::claim(&store, "alice").await;
        owner.write("[1]").await.unwrap();
        relay.fall_silent();
        // By connections that were open, and by none.
        for _ in 0..3 {
            refused(store.load(LoadRequest::tip(thread("alice")))).await;
        }
        refused(store.claim(ClaimRequest::new(thread("bob")))).await;
        refused(store.commit(owner.commit(vec![]))).await;
        relay.speak();
        let tip = store.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap();
        assert_eq!(tip.fields[0].appended, ["[1]"]);
        owner.write("[2]").await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_unavailable_in_time() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let relay = Relay::before(&scene.url).await;
    let store = open(&scene, relay.url()).await;
    drop(relay);
    refused(store.load(LoadRequest::tip(thread("alice")))).await;
    refused(store.claim(ClaimRequest::new(thread("alice")))).await;
}

/// One connection, which a long statement takes: the server is there, and who waits goes on waiting.
#[tokio::test]
async fn a_busy_pool_is_no_outage() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let mut config = scene.config();
    config.database.pool.max_connections = Some(config.writers + 1);
    config.database.unreachable_after = Duration::from_secs(2);
    let store = PostgresCheckpointStore::open_with(&scene.url, config, clock()).await.unwrap();
    let sleep = store.postgres().statement("sleep", "SELECT pg_sleep(2)");
    let (slept, loaded) = tokio::join!(
        store.postgres().fetch(&sleep, agentscale_store::postgres::Bound::new()),
        store.load(LoadRequest::tip(thread("alice"))),
    );
    assert_eq!(slept.unwrap().len(), 1);
    assert!(loaded.unwrap().is_none());
}
