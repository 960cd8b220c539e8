//! Entries, their versions and their end.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use super::KnowledgeHarness;
use super::scene::{Scene, assert_kind, id};
use crate::ErrorKind;
use crate::knowledge::{EntryVersion, Metadata, PutEntries};

/// Every type of value, and names and texts that need care where they are stored.
pub async fn what_was_put_is_gotten_with_its_text_and_metadata(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let metadata = Metadata::from([
        ("yes".to_owned(), true.into()),
        ("least".to_owned(), i64::MIN.into()),
        ("one".to_owned(), 1.0.into()),
        ("tenth".to_owned(), 0.1.into()),
        ("tiny".to_owned(), f64::MIN_POSITIVE.into()),
        ("a \"quoted\" näme.$[0]".to_owned(), "o'clock; DROP TABLE entries --".into()),
        (String::new(), "".into()),
    ]);
    let text = "first line\r\n\ttabbed \u{1f98a} line\n";
    let entry = scene.entry("docs/a b.md:1-7#0'%_", text, 10.0).with_metadata(metadata);
    assert_eq!(scene.put(vec![entry.clone()]).await.expect("the entry is put"), [EntryVersion(1)]);
    let stored = scene.get(entry.id.as_str()).await.expect("the entry is there");
    assert_eq!((&stored.entry.id, &stored.entry.text), (&entry.id, &entry.text));
    assert_eq!(stored.entry.metadata, entry.metadata);
    assert_eq!(stored.version, EntryVersion(1));
}

/// The newest is what `get` gives; the versions of a batch come in its order.
pub async fn an_id_that_exists_gets_a_new_version(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    scene.put(vec![scene.entry("b", "old", 0.0)]).await.expect("the entry is put");
    let batch = vec![scene.entry("a", "first", 0.0), scene.entry("b", "new", 9.0)];
    assert_eq!(scene.put(batch).await.expect("the batch is put"), [EntryVersion(1), EntryVersion(2)]);
    let stored = scene.get("b").await.expect("the entry is there");
    assert_eq!((stored.entry.text.as_str(), stored.version), ("new", EntryVersion(2)));
}

/// One entry that cannot be put keeps the others out.
pub async fn a_batch_is_put_as_a_whole_or_not_at_all(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let mut long = scene.entry("long", "text", 0.0);
    long.vector = Some(vec![1.0; scene.dimensions + 1]);
    let twice = scene.entry("good", "again", 0.0);
    for bad in [long, twice] {
        let batch = vec![scene.entry("good", "text", 0.0), bad];
        if scene.client.capabilities().dimensions.is_some() || batch[1].id == batch[0].id {
            assert_kind(scene.put(batch).await, ErrorKind::InvalidInput);
            assert_eq!(scene.get("good").await, None);
        }
    }
}

/// And at the limit it is put.
pub async fn a_text_over_the_limit_is_too_large(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let limit = scene.client.capabilities().max_text_bytes;
    assert_kind(scene.put(vec![scene.entry("over", &"a".repeat(limit + 1), 0.0)]).await, ErrorKind::TooLarge);
    assert_eq!(scene.get("over").await, None);
    scene.put(vec![scene.entry("at", &"a".repeat(limit), 0.0)]).await.expect("the entry is put");
    assert_eq!(scene.get("at").await.map(|stored| stored.entry.text.len()), Some(limit));
}

/// An entry, a history, a scan, an empty batch.
pub async fn what_does_not_exist_is_none(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    assert_eq!(scene.get("nobody").await, None);
    assert_eq!(scene.client.history(&scene.tenant, &id("nobody"), 5).await.expect("it is read"), []);
    assert_eq!(scene.ids(scene.near(0.0)).await, Vec::<String>::new());
    assert_eq!(scene.put(vec![]).await.expect("an empty batch is put"), []);
}

/// Up to the limit, each with its text and a later time than the one before.
pub async fn a_history_has_the_versions_newest_first(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    for text in ["one", "two", "three"] {
        scene.put(vec![scene.entry("a", text, 0.0)]).await.expect("the entry is put");
    }
    let history = scene.client.history(&scene.tenant, &id("a"), 10).await.expect("the history is read");
    let texts: Vec<_> = history.iter().map(|stored| (stored.entry.text.as_str(), stored.version.0)).collect();
    assert_eq!(texts, [("three", 3), ("two", 2), ("one", 1)]);
    assert!(history.windows(2).all(|pair| pair[0].put_at > pair[1].put_at));
    let newest = scene.client.history(&scene.tenant, &id("a"), 1).await.expect("the history is read");
    assert_eq!(newest, history[..1]);
}

/// Neither in its history nor in a query of now or of then.
pub async fn a_deleted_entry_leaves_nothing_behind(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    for text in ["walrus", "walrus again"] {
        let batch = vec![scene.entry("a", text, 0.0), scene.entry("b", "other", 90.0)];
        scene.put(batch).await.expect("the batch is put");
    }
    let before = scene.get("a").await.expect("the entry is there").put_at;
    assert_eq!(scene.delete(&["a"]).await, 1);
    assert_eq!(scene.get("a").await, None);
    assert_eq!(scene.client.history(&scene.tenant, &id("a"), 5).await.expect("it is read"), []);
    assert_eq!(scene.ids(scene.near(0.0)).await, ["b"]);
    assert!(!scene.ids(scene.about("walrus")).await.contains(&"a".to_owned()));
    if scene.client.capabilities().as_of {
        assert_eq!(scene.ids(scene.near(0.0).as_of(before)).await, ["b"]);
    }
    assert_eq!(scene.delete(&["a"]).await, 0);
    scene.put(vec![scene.entry("a", "back", 0.0)]).await.expect("the id can be used again");
    assert_eq!(scene.get("a").await.map(|stored| stored.entry.text), Some("back".to_owned()));
}

/// And what is known is deleted all the same.
pub async fn unknown_ids_are_passed_over_by_delete(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    scene.put_fan(3, |_, entry| entry).await;
    assert_eq!(scene.delete(&["0000", "nobody", "0002"]).await, 2);
    assert_eq!(scene.ids(scene.near(0.0)).await, ["0001"]);
}

/// None is lost and none is counted twice.
pub async fn puts_of_one_id_at_once_each_make_a_version(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let puts = (0..8).map(|i| scene.put(vec![scene.entry("a", &i.to_string(), 0.0)]));
    let mut versions: Vec<u64> = futures::future::join_all(puts)
        .await
        .into_iter()
        .map(|put| put.expect("the entry is put")[0].0)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7, 8]);
}

/// Wherever it was dropped: both entries of the batch are there, or none.
pub async fn a_dropped_put_is_done_as_a_whole_or_not_at_all(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    for polls in 0..6 {
        let (left, right) = (format!("l{polls}"), format!("r{polls}"));
        let batch = vec![scene.entry(&left, "text", 0.0), scene.entry(&right, "text", 1.0)];
        {
            let mut put = pin!(scene.client.put(PutEntries::new(scene.tenant.clone(), batch)));
            for _ in 0..polls {
                if put.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // What was begun before it is done before it.
        scene.put(vec![scene.entry("after", "text", 2.0)]).await.expect("the next put works");
        assert_eq!(
            scene.get(&left).await.is_some(),
            scene.get(&right).await.is_some(),
            "after {polls} polls"
        );
    }
}
