//! A tenant is a hard partition.

use super::KnowledgeHarness;
use super::scene::{Scene, id, tenant};
use crate::knowledge::{DeleteEntries, PutEntries, ScanRequest};

/// The same ids, the same texts and the same vectors, each tenant its own.
pub async fn no_request_sees_or_changes_another_tenants_entries(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let other = tenant("acme2");
    let ours = vec![scene.entry("a", "ours", 0.0), scene.entry("b", "ours", 5.0)];
    scene.put(ours).await.expect("our entries are put");
    let theirs = vec![scene.entry("a", "theirs", 0.0), scene.entry("c", "theirs", 5.0)];
    let put = scene.client.put(PutEntries::new(other.clone(), theirs)).await.expect("their entries are put");
    assert!(put.iter().all(|version| version.0 == 1));

    for query in [scene.near(0.0), scene.about("theirs ours")] {
        let Some(answer) = scene.ask(query.with_limit(10)).await else { continue };
        assert_eq!(answer.hits.len(), 2);
        assert!(answer.hits.iter().all(|hit| hit.entry.entry.text == "ours"));
    }
    assert_eq!(scene.get("a").await.map(|stored| stored.entry.text), Some("ours".to_owned()));
    assert_eq!(scene.get("c").await, None);
    assert_eq!(scene.client.history(&scene.tenant, &id("c"), 5).await.expect("it is read"), []);
    let page = scene.client.scan(ScanRequest::new(scene.tenant.clone(), 10)).await.expect("it is read");
    assert!(page.entries.iter().all(|stored| stored.entry.text == "ours") && page.entries.len() == 2);

    let request = DeleteEntries::new(scene.tenant.clone(), vec![id("a"), id("c")]);
    assert_eq!(scene.client.delete(request).await.expect("our entry is deleted"), 1);
    for name in ["a", "c"] {
        let kept = scene.client.get(&other, &id(name)).await.expect("their entry is read");
        assert_eq!(kept.map(|stored| stored.entry.text), Some("theirs".to_owned()));
    }
}
