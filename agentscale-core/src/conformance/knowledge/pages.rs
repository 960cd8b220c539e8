//! Scans and queries that go on.

use super::KnowledgeHarness;
use super::scene::{Scene, assert_kind, ids};
use crate::ErrorKind;
use crate::knowledge::{Filter, KnowledgeQuery, Metadata, QueryCursor, ScanRequest, StoredEntry};

/// The newest version of each, whatever the size of a page.
pub async fn a_scan_gives_every_entry_once_in_the_order_of_ids(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    for _ in 0..2 {
        scene.put_fan(53, |_, entry| entry).await;
    }
    let expected: Vec<String> = (0..53).map(|i| format!("{i:04}")).collect();
    for size in [1, 10, 53, 100] {
        let request = ScanRequest::new(scene.tenant.clone(), size);
        let scanned = scan(&scene, request).await;
        let names: Vec<String> = scanned.iter().map(|stored| stored.entry.id.to_string()).collect();
        assert_eq!(names, expected, "in pages of {size}");
        assert!(scanned.iter().all(|stored| stored.version.0 == 2));
    }
}

/// And leaves them out where not.
pub async fn a_scan_gives_vectors_where_they_are_asked_for(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let entry = scene.entry("a", "text", 30.0);
    scene.put(vec![entry.clone()]).await.expect("the entry is put");
    let request = ScanRequest::new(scene.tenant.clone(), 5);
    assert_eq!(scan(&scene, request.clone()).await[0].entry.vector, None);
    let given =
        scan(&scene, request.with_vectors()).await[0].entry.vector.clone().expect("the vector is given");
    let expected = entry.vector.expect("the entry has one");
    assert!(given.iter().zip(&expected).all(|(given, expected)| (given - expected).abs() < 1e-3));
}

/// On every page.
pub async fn a_scan_gives_what_fits_its_filter(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let numbered = |i: usize, entry: crate::knowledge::Entry| {
        entry.with_metadata(Metadata::from([("n".to_owned(), (i as i64).into())]))
    };
    scene.put_fan(40, numbered).await;
    let request =
        ScanRequest::new(scene.tenant.clone(), 3).with_filter(Filter::Ge("n".to_owned(), 33_i64.into()));
    let names: Vec<String> =
        scan(&scene, request).await.iter().map(|stored| stored.entry.id.to_string()).collect();
    assert_eq!(names, ["0033", "0034", "0035", "0036", "0037", "0038", "0039"]);
}

/// In the order of one large page.
pub async fn the_pages_of_a_query_have_every_entry_once(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    scene.put_fan(25, |_, entry| entry).await;
    for query in [scene.near(70.0), scene.about("text")] {
        let Some(whole) = scene.ask(query.clone().with_limit(25)).await else { continue };
        assert_eq!(whole.next, None);
        let query = query.with_limit(10);
        let (mut found, mut after, mut pages) = (Vec::new(), None::<QueryCursor>, 0);
        loop {
            let page = after.take().map_or(query.clone(), |cursor| query.clone().after(cursor));
            let answer = scene.ask(page).await.expect("a page is answered");
            found.extend(ids(&answer));
            pages += 1;
            match answer.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!((found, pages), (ids(&whole), 3));
    }
}

/// And so is one that nobody gave.
pub async fn a_cursor_of_another_query_is_invalid(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    scene.put_fan(5, |_, entry| entry).await;
    let answer = scene.ask(scene.near(0.0).with_limit(2)).await.expect("a vector is always answered");
    let cursor = answer.next.expect("there is more");
    let others: [KnowledgeQuery; 3] = [
        scene.near(1.0).after(cursor.clone()),
        scene.near(0.0).with_filter(Filter::All(vec![])).after(cursor),
        scene.near(0.0).after(QueryCursor("nonsense".to_owned())),
    ];
    for other in others {
        assert_kind(scene.client.query(other).await, ErrorKind::InvalidInput);
    }
}

async fn scan(scene: &Scene, request: ScanRequest) -> Vec<StoredEntry> {
    let mut entries = Vec::new();
    let mut next = request.clone();
    loop {
        let page = scene.client.scan(next).await.expect("the scan is answered");
        assert!(page.entries.len() <= request.limit, "a page is no larger than asked for");
        entries.extend(page.entries);
        match page.next {
            Some(cursor) => next = request.clone().after(cursor),
            None => return entries,
        }
    }
}
