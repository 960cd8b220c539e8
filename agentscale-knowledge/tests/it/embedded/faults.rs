//! Files that cannot be used.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use agentscale_core::ErrorKind;
use agentscale_core::knowledge::{Consistency, KnowledgeClient, KnowledgeQuery};
use agentscale_knowledge::{EmbeddedConfig, EmbeddedKnowledge};

use super::{DIMENSIONS, acme, count, entries, nearest_to, open, put};

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_database_is_corrupt_and_stays_as_it_is() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path()).await;
    let database = fs::read(whole.path().join("knowledge.db")).unwrap();
    let mut torn = database.clone();
    torn[100..].fill(0xa5);
    for bytes in [b"not a database, but long enough to have a header: ".repeat(4), vec![7; 40], torn] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("knowledge.db"), &bytes).unwrap();
        assert_eq!(open(folder.path()).await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(fs::read(folder.path().join("knowledge.db")).unwrap(), bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_or_another_application_is_unsupported_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let path = folder.path().join("knowledge.db");
    let mut bytes = fs::read(&path).unwrap();
    // SQLite's header: the user version at 60, the application at 68.
    for (at, context) in [(60, Some("99")), (68, None)] {
        bytes[at..at + 4].copy_from_slice(&99u32.to_be_bytes());
        fs::write(&path, &bytes).unwrap();
        let before = files(folder.path());
        let error = open(folder.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.context("schema version"), context);
        assert_eq!(files(folder.path()), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_read_is_derived_anew() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    for (name, cut) in [("pending", false), ("graph", false), ("pending", true), ("graph", true)] {
        let path = folder.path().join("vectors").join(name).join("data.mdb");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, if cut { bytes[..8_192].to_vec() } else { vec![0xa5; bytes.len()] }).unwrap();
        let knowledge = open(folder.path()).await.unwrap();
        assert_eq!(count(&knowledge).await, 300, "{name} {cut}");
        assert_eq!(nearest_to(&knowledge, &entries(42..43)[0]).await, "00042");
        knowledge.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("below")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.context("path"), file.join("below").to_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_embedder_and_a_length_of_vectors_there_is_nothing_to_open() {
    let folder = tempfile::tempdir().unwrap();
    let error = EmbeddedKnowledge::builder(folder.path()).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// An index whose files may not grow refuses what the database has taken, as on a full disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_the_index_refuses_is_kept_and_found_once_the_index_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = EmbeddedConfig::default();
    config.map_bytes = 128 << 10;
    let builder = EmbeddedKnowledge::builder(folder.path()).vectors_of(DIMENSIONS);
    let knowledge = builder.clone().config(config).open().await.unwrap();
    let all = entries(0..3_000);
    for batch in all.chunks(100) {
        put(&knowledge, batch.to_vec()).await;
    }
    let last = all[all.len() - 1].clone();
    assert!(knowledge.get(&acme(), &last.id).await.unwrap().is_some());
    let query = KnowledgeQuery::vector(acme(), last.vector.clone().unwrap()).with_limit(1);
    assert!(knowledge.query(query.clone()).await.unwrap().partial);
    let error = knowledge.query(query.with_consistency(Consistency::Strong)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    knowledge.close().await.unwrap();

    let knowledge = builder.open().await.unwrap();
    assert_eq!(nearest_to(&knowledge, &last).await, last.id.as_str());
    assert_eq!(count(&knowledge).await, all.len());
}

/// 300 entries, most of them in a graph.
async fn filled(folder: &Path) {
    let knowledge = open(folder).await.unwrap();
    put(&knowledge, entries(0..300)).await;
    knowledge.close().await.unwrap();
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}
