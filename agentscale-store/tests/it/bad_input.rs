//! What a store does not take is refused by kind, and what it cannot understand is `corrupt`.

pub(crate) mod scenes;

use agentscale_core::checkpoint::{ClaimRequest, LoadRequest};
use agentscale_core::{CheckpointStore, ErrorKind};
use agentscale_store::{SqliteCheckpointConfig, SqliteCheckpointStore};
use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

use crate::scene::{Owner, open_with, thread};

async fn open() -> (TempDir, SqliteCheckpointStore) {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path().join("checkpoints.db");
    (folder, open_with(&path, SqliteCheckpointConfig::default()).await)
}

#[tokio::test]
async fn nul_bytes_stand_wherever_no_name_is_meant() {
    let (_folder, store) = open().await;
    scenes::nul_bytes_stand(&store).await;
}

#[tokio::test]
async fn a_name_without_end_is_invalid_input_and_leaves_nothing() {
    let (_folder, store) = open().await;
    scenes::names_without_end(&store).await;
}

#[tokio::test]
async fn an_unknown_codec_comes_back_by_name_and_bytes_that_are_none_are_corrupt() {
    let (folder, store) = open().await;
    scenes::an_unknown_codec(&store).await;
    let path = folder.path().join("checkpoints.db");
    let mut file = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    file.execute("UPDATE checkpoints SET delta = x'ff'").await.unwrap();
    let error = store.load(LoadRequest::tip(thread("alice"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let error = store.claim(ClaimRequest::new(thread("alice"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    Owner::claim(&store, "bob").await.write("[1]").await.unwrap();
}
