//! Files that cannot be opened, and disks that are full: an error of the right kind, nothing changed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use agentscale_core::checkpoint::{ClaimRequest, FieldWrite, LoadRequest};
use agentscale_core::{CheckpointStore, ErrorKind, Retry};
use agentscale_store::{SqliteCheckpointConfig, SqliteCheckpointStore};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::scene::{Owner, open_with, thread};

#[tokio::test]
async fn a_missing_folder_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let error = SqliteCheckpointStore::open(folder.path().join("absent/checkpoints.db")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!folder.path().join("absent").exists());
}

#[tokio::test]
async fn a_file_of_a_newer_schema_is_unsupported_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    SqliteCheckpointStore::open(&path).await.unwrap().close().await.unwrap();
    change(&path, "PRAGMA user_version = 7").await;
    let before = fs::read(&path).unwrap();
    let error = SqliteCheckpointStore::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!((error.context("schema_version"), error.context("known_version")), (Some("7"), Some("2")));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn the_file_of_another_application_is_unsupported_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    fs::write(&path, []).unwrap();
    change(&path, "CREATE TABLE notes (text TEXT)").await;
    let before = fs::read(&path).unwrap();
    let error = SqliteCheckpointStore::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let mut broken_schema = b"SQLite format 3\0".to_vec();
    broken_schema.resize(4_096, 0xff);
    broken_schema[60..64].fill(0);
    for bytes in [b"not a database at all".to_vec(), vec![b'x'; 8_192], broken_schema] {
        fs::write(&path, &bytes).unwrap();
        let error = SqliteCheckpointStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_tip_that_cannot_be_read_is_corrupt_and_its_epoch_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let store = SqliteCheckpointStore::open(&path).await.unwrap();
    let mut owner = Owner::claim(&store, "alice").await;
    owner.write("1").await.unwrap();
    change(&path, "UPDATE checkpoints SET delta = x'01ff'").await;
    let error = store.claim(ClaimRequest::new(thread("alice"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(store.load(LoadRequest::tip(thread("alice"))).await.unwrap_err().kind(), ErrorKind::Corrupt);
    owner.write("2").await.expect("its owner still writes");
}

/// `max_page_count` stands for a small disk: SQLite gives the same SQLITE_FULL for both.
#[tokio::test]
async fn a_full_disk_is_unavailable_and_takes_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let mut config = SqliteCheckpointConfig::default();
    config.file.max_pages = Some(200);
    let store = open_with(&path, config).await;
    let mut owner = Owner::claim(&store, "alice").await;
    let large = "x".repeat(32 << 10);
    let error = loop {
        let commit =
            owner.commit(vec![FieldWrite::Append { name: "notes".into(), items: large.clone().into() }]);
        match owner.send(commit).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later));
    assert_eq!(error.context("reason"), Some("disk full"));
    let acknowledged = owner.version;
    assert!(acknowledged.0 > 2);
    store.close().await.unwrap();
    let store = SqliteCheckpointStore::open(&path).await.unwrap();
    let tip = store.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap();
    assert_eq!(tip.info.version, acknowledged);
    assert_eq!(tip.fields[0].appended.len() as u64, acknowledged.0);
}

#[tokio::test]
async fn a_writer_that_is_locked_out_gets_an_error_within_its_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let mut config = SqliteCheckpointConfig::default();
    config.file.busy_timeout = Duration::from_millis(100);
    let store = open_with(&path, config).await;
    let mut other = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let refused =
        tokio::time::timeout(Duration::from_secs(20), store.claim(ClaimRequest::new(thread("alice"))));
    let error = refused.await.expect("the claim ends").unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later));
    other.execute("ROLLBACK").await.unwrap();
    Owner::claim(&store, "alice").await.write("1").await.unwrap();
}

async fn change(path: &Path, sql: &'static str) {
    let mut connection = SqliteConnection::connect(path.to_str().expect("the file is changed"))
        .await
        .expect("the file is changed");
    connection.execute(sql).await.expect("the file is changed");
    connection.close().await.expect("the file is changed");
}
