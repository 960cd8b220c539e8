//! Poolers that give each transaction another connection of the server.

use agentscale_core::CheckpointStore;
use agentscale_core::checkpoint::{DeleteRequest, ForkRequest, LoadRequest, PruneRequest, RetentionPolicy};
use agentscale_core::testkit::TestServer;
use agentscale_store::PostgresCheckpointStore;
use agentscale_store::postgres::Pooling;

use super::relay::Relay;
use super::{Scene, clock};
use crate::scene::{Owner, thread};

/// Those before 1.21 know no statement by its name in the next transaction.
#[tokio::test]
async fn behind_a_pooler_no_statement_is_prepared_under_a_name() {
    let named = async |server| -> Option<usize> {
        let scene = Scene::new(server)?;
        let relay = Relay::before(&scene.url).await;
        let store = PostgresCheckpointStore::open_with(relay.url(), scene.config(), clock()).await.unwrap();
        let is_direct = server == TestServer::Postgres;
        assert_eq!(store.postgres().pooling() == Pooling::Direct, is_direct);
        let mut owner = Owner::claim(&store, "alice").await;
        owner.write("[1]").await.unwrap();
        store.fork(ForkRequest::new(thread("alice"), thread("bob"))).await.unwrap();
        store.load(LoadRequest::tip(thread("bob"))).await.unwrap().unwrap();
        store.prune(PruneRequest::all(RetentionPolicy::default())).await.unwrap();
        store.delete(DeleteRequest::new(thread("alice"), owner.epoch)).await.unwrap();
        store.close().await.unwrap();
        Some(relay.named_statements())
    };
    assert_eq!(named(TestServer::PgBouncer).await.unwrap_or(0), 0);
    assert_ne!(named(TestServer::Postgres).await, Some(0), "they are counted");
}
