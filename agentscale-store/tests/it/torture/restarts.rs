//! Servers restart while agents commit.

use std::time::Duration;

use agentscale_core::checkpoint::LoadRequest;
use agentscale_core::{CheckpointStore, ErrorKind, Retry};
use agentscale_store::{PostgresCheckpointConfig, PostgresCheckpointStore};

use super::fleet::Fleet;
use super::rounds;
use super::server::{OwnPooler, OwnServer};
use crate::postgres::clock;
use crate::scene::{Owner, thread};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_has_all_that_was_acknowledged_and_no_host_restarts_for_it() {
    let Some(server) = tokio::task::block_in_place(OwnServer::start) else { return };
    let mut config = PostgresCheckpointConfig::default();
    config.retention = None;
    config.database.unreachable_after = Duration::from_millis(500);
    let store = PostgresCheckpointStore::open_with(&server.url(), config, clock()).await.unwrap();
    let fleet = Fleet::start(&store).await;
    for mode in ["fast", "immediate"].into_iter().cycle().take(rounds(4, 20)) {
        fleet.goes_on(50).await;
        // Connections of the pool, too, are of the server before.
        store.load(LoadRequest::tip(thread("agent-0"))).await.unwrap();
        tokio::task::block_in_place(|| server.stop(mode));
        let error = store.load(LoadRequest::tip(thread("agent-0"))).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later), "{error:?}");
        tokio::task::block_in_place(|| server.begin());
        fleet.goes_on(50).await;
    }
    fleet.stop(&store).await;

    // Nothing was asked while it restarted: what was open before is noticed before it is used.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    tokio::task::block_in_place(|| {
        server.stop("fast");
        server.begin();
    });
    store.load(LoadRequest::tip(thread("agent-0"))).await.unwrap();
    Owner::claim(&store, "alice").await.write("[1]").await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_pooler_takes_nothing_that_was_acknowledged_with_it() {
    let Some(server) = tokio::task::block_in_place(OwnServer::start) else { return };
    let mut pooler = OwnPooler::before(&server);
    let mut config = PostgresCheckpointConfig::default();
    config.retention = None;
    let store = PostgresCheckpointStore::open_with(&pooler.url(), config, clock()).await.unwrap();
    let fleet = Fleet::start(&store).await;
    for _ in 0..rounds(3, 20) {
        fleet.goes_on(50).await;
        pooler.kill();
        fleet.is_refused(4).await;
        pooler.begin();
        fleet.goes_on(50).await;
    }
    fleet.stop(&store).await;
    store.close().await.unwrap();
}
