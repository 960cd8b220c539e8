//! What a folder keeps.

use agentscale_core::ErrorKind;
use agentscale_core::knowledge::{DeleteEntries, EntryId, KnowledgeClient};
use agentscale_knowledge::{EmbeddedKnowledge, LexicalEmbedder};

use super::{acme, count, entries, nearest_to, open, put};

#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_folder_answers_as_before_from_the_same_index() {
    let folder = tempfile::tempdir().unwrap();
    let knowledge = open(folder.path()).await.unwrap();
    let all = entries(0..500);
    put(&knowledge, all.clone()).await;
    let gone = EntryId::new("00003").unwrap();
    knowledge.delete(DeleteEntries::new(acme(), vec![gone])).await.unwrap();
    knowledge.close().await.unwrap();
    let index = folder.path().join("vectors/pending/data.mdb");
    let made = std::fs::metadata(&index).unwrap().created().unwrap();

    let knowledge = open(folder.path()).await.unwrap();

    assert_eq!(count(&knowledge).await, 499);
    for entry in [&all[0], &all[250], &all[499]] {
        assert_eq!(nearest_to(&knowledge, entry).await, entry.id.as_str());
    }
    assert_ne!(nearest_to(&knowledge, &all[3]).await, "00003");
    assert_eq!(std::fs::metadata(&index).unwrap().created().unwrap(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_missing_or_older_catches_up_with_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = folder.path().join("vectors");
    let older = tempfile::tempdir().unwrap();
    let knowledge = open(folder.path()).await.unwrap();
    put(&knowledge, entries(0..50)).await;
    knowledge.close().await.unwrap();
    copy(&vectors, older.path());

    let knowledge = open(folder.path()).await.unwrap();
    let mut changed = entries(100..101);
    changed[0].id = EntryId::new("00007").unwrap();
    put(&knowledge, changed.clone()).await;
    put(&knowledge, entries(50..60)).await;
    knowledge.delete(DeleteEntries::new(acme(), vec![EntryId::new("00008").unwrap()])).await.unwrap();
    knowledge.close().await.unwrap();

    for state in ["older", "missing"] {
        std::fs::remove_dir_all(&vectors).unwrap();
        if state == "older" {
            copy(older.path(), &vectors);
        }
        let knowledge = open(folder.path()).await.unwrap();
        assert_eq!(count(&knowledge).await, 59, "{state}");
        assert_eq!(nearest_to(&knowledge, &changed[0]).await, "00007", "{state}");
        assert_eq!(nearest_to(&knowledge, &entries(55..56)[0]).await, "00055", "{state}");
        assert_ne!(nearest_to(&knowledge, &entries(8..9)[0]).await, "00008", "{state}");
        knowledge.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_store_lets_go_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let knowledge =
            EmbeddedKnowledge::builder(folder.path()).vectors_of(super::DIMENSIONS).open().await.unwrap();
        put(&knowledge, entries(round..round + 1)).await;
        assert_eq!(count(&knowledge).await, round as usize + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_taken_already_and_one_of_another_embedder_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let knowledge = open(folder.path()).await.unwrap();
    assert_eq!(open(folder.path()).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    knowledge.close().await.unwrap();

    let other = EmbeddedKnowledge::builder(folder.path()).embedder(LexicalEmbedder::default());
    let error = other.open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.context("model"), Some("lexical-v1-384"));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_beyond_those_to_keep_are_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = agentscale_knowledge::EmbeddedConfig::default();
    config.keep_versions = 3;
    let builder = EmbeddedKnowledge::builder(folder.path()).vectors_of(super::DIMENSIONS).config(config);
    let knowledge = builder.open().await.unwrap();
    for _ in 0..7 {
        put(&knowledge, entries(0..1)).await;
    }
    let history = knowledge.history(&acme(), &EntryId::new("00000").unwrap(), 10).await.unwrap();
    assert_eq!(history.iter().map(|stored| stored.version.0).collect::<Vec<_>>(), [7, 6, 5]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
