//! What a store does with the database that it finds.

use agentscale_core::checkpoint::{ClaimRequest, LoadRequest};
use agentscale_core::testkit::TestServer;
use agentscale_core::{CheckpointStore, ErrorKind};
use agentscale_store::postgres::Pooling;
use agentscale_store::{PostgresCheckpointConfig, PostgresCheckpointStore, Stores};

use super::Scene;
use crate::scene::{Owner, thread};

#[tokio::test]
async fn what_was_committed_is_there_after_reopening_through_the_pooler_and_without() {
    let (Some(direct), Some(pooled)) = (Scene::new(TestServer::Postgres), Scene::new(TestServer::PgBouncer))
    else {
        return;
    };
    let store = direct.open().await;
    assert_eq!(store.postgres().pooling(), Pooling::Direct);
    Owner::claim(&store, "alice").await.write("[1]").await.unwrap();
    store.close().await.unwrap();
    assert_eq!(store.flush().await.unwrap_err().kind(), ErrorKind::Unavailable);

    let mut config = direct.config();
    config.writers = 1;
    let store = PostgresCheckpointStore::open_with(&pooled.url, config, super::clock()).await.unwrap();
    assert_eq!(store.postgres().pooling(), Pooling::Transaction);
    let mut owner = Owner::claim(&store, "alice").await;
    assert_eq!(owner.write("[2]").await.unwrap().0, 2);
    let tip = store.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap();
    assert_eq!(tip.fields[0].appended, ["[1]", "[2]"]);
}

#[tokio::test]
async fn instances_that_start_at_once_make_the_tables_once() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let opened = futures::future::join_all((0..6).map(|_| scene.open())).await;
        for (number, store) in opened.iter().enumerate() {
            assert_eq!(Owner::claim(store, "alice").await.epoch.counter, number as u64 + 1);
        }
    }
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused_and_left_alone() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    scene.open().await.close().await.unwrap();
    scene.execute("UPDATE @.migrations SET version = 999").await;
    let error =
        PostgresCheckpointStore::open_with(&scene.url, scene.config(), super::clock()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.context("schema_version"), Some("999"));
    scene.execute("UPDATE @.migrations SET version = 2 WHERE version = 999").await;
    scene.open().await;
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let open = async |url: &str, schema: &str| {
        let mut config = PostgresCheckpointConfig::default();
        config.database.schema = schema.to_owned();
        PostgresCheckpointStore::open_with(url, config, super::clock()).await.unwrap_err()
    };
    for schema in ["", "1st", "a.b", "a\"b", "Upper", &"x".repeat(64)] {
        assert_eq!(open("postgres://nobody@127.0.0.1:1/none", schema).await.kind(), ErrorKind::InvalidInput);
    }
    let error = open("not an address with a secret", "fine").await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error:?}").contains("secret"));
    let error = open("postgres://nobody:secret@127.0.0.1:1/none", "fine").await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("secret"));
    let Some(url) = TestServer::Postgres.url() else { return };
    let (server, _) = url.rsplit_once('/').unwrap();
    let error = open(&format!("{server}/no_such_database"), "fine").await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_bundle_of_stores_opens_on_a_database() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    // The bundle's schema is a fixed one: another test may have made it, and threads of others are left alone.
    let stores = Stores::postgres(&scene.url).await.unwrap();
    let claim = stores.checkpoints().claim(ClaimRequest::new(thread(&scene.schema))).await.unwrap();
    assert_eq!((claim.epoch.counter, claim.tip.is_none()), (1, true));
    assert!(stores.postgres_checkpoints().is_some() && stores.sqlite_checkpoints().is_none());
    stores.close().await.unwrap();
}
