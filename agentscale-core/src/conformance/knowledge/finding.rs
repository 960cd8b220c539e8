//! What a query finds.

use super::KnowledgeHarness;
use super::scene::{Scene, assert_kind};
use crate::ErrorKind;
use crate::knowledge::{Filter, KnowledgeQuery, Metadata};

/// With scores that never rise, entries without their vectors.
pub async fn the_most_alike_come_first(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    scene.put_fan(90, |_, entry| entry).await;
    let answer = scene.ask(scene.near(80.0).with_limit(3)).await.expect("a vector is always answered");
    let mut found = super::scene::ids(&answer);
    assert!(answer.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert!(answer.hits.iter().all(|hit| hit.entry.entry.vector.is_none()));
    found[1..].sort();
    assert_eq!(found, ["0040", "0039", "0041"]);
}

/// Put by put.
pub async fn what_was_put_is_found_at_once_by_a_strong_query(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    for i in 0..20u16 {
        let name = format!("{i:04}");
        scene.put(vec![scene.entry(&name, "text", f32::from(i) * 9.0)]).await.expect("the entry is put");
        assert_eq!(scene.ids(scene.near(f32::from(i) * 9.0).with_limit(1)).await, [name]);
    }
}

/// The old vector and the old words find it no more.
pub async fn a_new_version_takes_the_place_of_the_old(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let batch = vec![scene.entry("a", "walrus", 0.0), scene.entry("b", "penguin", 45.0)];
    scene.put(batch).await.expect("the batch is put");
    scene.put(vec![scene.entry("a", "penguin", 90.0)]).await.expect("the entry is put");
    assert_eq!(scene.ids(scene.near(0.0)).await, ["b", "a"]);
    let answer = scene.ask(scene.near(90.0).with_limit(1)).await.expect("a vector is always answered");
    assert_eq!(answer.hits[0].entry.entry.text, "penguin");
    assert_eq!(answer.hits[0].entry.version.0, 2);
}

/// All where fewer fit, however unlike they are.
pub async fn as_many_come_back_as_fit_and_were_asked_for(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    scene.put_fan(200, |_, entry| entry).await;
    for limit in [0, 1, 7, 199, 200, usize::MAX] {
        let found = scene.ids(scene.near(-90.0).with_limit(limit)).await;
        assert_eq!(found.len(), limit.min(200));
        if let Some(answer) = scene.ask(scene.about("nothing of the kind").with_limit(limit)).await {
            assert_eq!(answer.hits.len(), limit.min(200), "by words that no text has");
        }
    }
}

/// Also where those that fit are the least alike.
pub async fn a_filter_that_few_fit_still_gives_as_many_as_asked_for(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let far = |i: usize, entry: crate::knowledge::Entry| {
        entry.with_metadata(Metadata::from([("far".to_owned(), (i >= 297).into())]))
    };
    scene.put_fan(300, far).await;
    let filter = Filter::eq("far", true);
    let found = scene.ids(scene.near(0.0).with_filter(filter.clone()).with_limit(2)).await;
    assert_eq!(found, ["0297", "0298"]);
    if let Some(answer) = scene.ask(scene.about("text").with_filter(filter).with_limit(5)).await {
        let mut found = super::scene::ids(&answer);
        found.sort();
        assert_eq!(found, ["0297", "0298", "0299"]);
    }
}

/// Those with more of them first.
pub async fn words_find_the_texts_that_have_them(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let batch = [("a", "the quick fox"), ("b", "a slow walrus"), ("c", "the walrus and the quick carpenter")];
    // No vectors: where the client embeds, it embeds text and question alike.
    let batch = batch.map(|(name, text)| {
        let mut entry = scene.entry(name, text, 0.0);
        entry.vector = None;
        entry
    });
    scene.put(batch.to_vec()).await.expect("the batch is put");
    if let Some(answer) = scene.ask(scene.about("Walrus carpenter").with_limit(2)).await {
        assert_eq!(super::scene::ids(&answer), ["c", "b"]);
    }
}

/// Operators, quotes and wildcards of query languages are words or nothing.
pub async fn a_text_is_never_read_as_syntax(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    scene.put_fan(2, |_, entry| entry).await;
    for text in [
        "\"",
        "a AND",
        "NOT",
        "text:*",
        "') OR 1=1 --",
        "NEAR(a b)",
        "^a + b",
        "?!",
        "\u{1f98a}",
        "a\0b",
        "{x} : y",
    ] {
        if let Some(answer) = scene.ask(scene.about(text)).await {
            assert_eq!(answer.hits.len(), 2, "for {text:?}");
        }
    }
}

/// And one without a direction.
pub async fn a_vector_of_another_length_is_invalid(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    scene.put_fan(2, |_, entry| entry).await;
    if scene.client.capabilities().dimensions.is_some() {
        let long = KnowledgeQuery::vector(scene.tenant.clone(), vec![1.0; scene.dimensions + 1]);
        assert_kind(scene.client.query(long).await, ErrorKind::InvalidInput);
    }
    for bad in [0.0, f32::NAN, f32::INFINITY] {
        let query = KnowledgeQuery::vector(scene.tenant.clone(), vec![bad; scene.dimensions]);
        assert_kind(scene.client.query(query).await, ErrorKind::InvalidInput);
    }
}

/// Their texts, filters and vectors; nothing from before the first.
pub async fn an_earlier_time_sees_the_versions_of_then(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let coloured = |text: &str, degrees| {
        let colour = Metadata::from([("colour".to_owned(), text.into())]);
        scene.entry("a", text, degrees).with_metadata(colour)
    };
    let mut times = Vec::new();
    for (text, degrees) in [("red", 0.0), ("green", 90.0)] {
        scene.put(vec![coloured(text, degrees)]).await.expect("the entry is put");
        times.push(scene.get("a").await.expect("the entry is there").put_at);
    }
    if !scene.client.capabilities().as_of {
        assert_kind(scene.client.query(scene.near(0.0).as_of(times[0])).await, ErrorKind::Unsupported);
        return;
    }
    for (time, text) in [(times[0], "red"), (times[1] - 1, "red"), (times[1], "green"), (u64::MAX, "green")] {
        let queries = [scene.near(45.0), scene.about("colour")].map(|query| query.as_of(time));
        for query in queries {
            let Some(answer) = scene.ask(query.clone()).await else { continue };
            assert_eq!(answer.hits.len(), 1);
            assert_eq!(answer.hits[0].entry.entry.text, text);
            let other = Filter::Not(Box::new(Filter::eq("colour", text)));
            assert_eq!(scene.ids(query.with_filter(other)).await, Vec::<String>::new());
        }
    }
    assert_eq!(scene.ids(scene.near(0.0).as_of(times[0] - 1)).await, Vec::<String>::new());
}
