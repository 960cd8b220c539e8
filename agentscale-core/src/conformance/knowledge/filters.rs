//! Filters mean the same over every backend.

use super::KnowledgeHarness;
use super::scene::Scene;
use crate::knowledge::{Filter, Metadata, MetadataValue, ScanRequest};

const FIELDS: [&str; 4] = ["a", "b", "it's", "näme \"q\""];

/// Random filters over random metadata, in queries and in scans.
pub async fn a_filter_means_what_fits_says(harness: &dyn KnowledgeHarness) {
    const ENTRIES: usize = 120;
    let scene = Scene::new(harness).await;
    let mut random = fastrand::Rng::with_seed(7);
    let metadata: Vec<Metadata> = (0..ENTRIES)
        .map(|_| {
            let fields = FIELDS.iter().filter(|_| random.bool()).collect::<Vec<_>>();
            fields.into_iter().map(|field| ((*field).to_owned(), value(&mut random))).collect()
        })
        .collect();
    scene.put_fan(ENTRIES, |i, entry| entry.with_metadata(metadata[i].clone())).await;
    for _ in 0..150 {
        let filter = filter(&mut random, 3);
        let expected: Vec<String> =
            (0..ENTRIES).filter(|i| filter.fits(&metadata[*i])).map(|i| format!("{i:04}")).collect();
        let mut found = scene.ids(scene.near(0.0).with_filter(filter.clone()).with_limit(ENTRIES)).await;
        found.sort();
        assert_eq!(found, expected, "by a query with {filter:?}");
        let request = ScanRequest::new(scene.tenant.clone(), ENTRIES).with_filter(filter.clone());
        let page = scene.client.scan(request).await.expect("the scan is answered");
        let scanned: Vec<String> = page.entries.iter().map(|stored| stored.entry.id.to_string()).collect();
        assert_eq!(scanned, expected, "by a scan with {filter:?}");
    }
}

/// More than a naive expression of a query language would take.
pub async fn a_filter_of_many_parts_works(harness: &dyn KnowledgeHarness) {
    let scene = Scene::new(harness).await;
    let numbered = |i: usize, entry: crate::knowledge::Entry| {
        entry.with_metadata(Metadata::from([("n".to_owned(), (i as i64).into())]))
    };
    scene.put_fan(10, numbered).await;
    let odd: Vec<MetadataValue> = (0..1_500).map(|i| MetadataValue::Int(2 * i + 1)).collect();
    let any = Filter::Any(odd.iter().map(|value| Filter::Eq("n".to_owned(), value.clone())).collect());
    for filter in [any, Filter::In("n".to_owned(), odd)] {
        let mut found = scene.ids(scene.near(0.0).with_filter(filter)).await;
        found.sort();
        assert_eq!(found, ["0001", "0003", "0005", "0007", "0009"]);
    }
}

/// Few values, so that random filters fit some entries; among them those that types make hard.
fn value(random: &mut fastrand::Rng) -> MetadataValue {
    const LARGE: i64 = (1 << 53) + 1;
    match random.u8(0..12) {
        0 => true.into(),
        1 => false.into(),
        2 => 0_i64.into(),
        3 => 1_i64.into(),
        4 => 1.0.into(),
        5 => (-0.0).into(),
        6 => 0.5.into(),
        7 => LARGE.into(),
        8 => (LARGE as f64).into(),
        9 => "".into(),
        10 => "1".into(),
        _ => "Zürich' OR 1=1".into(),
    }
}

fn filter(random: &mut fastrand::Rng, depth: usize) -> Filter {
    let field = FIELDS[random.usize(..FIELDS.len())].to_owned();
    match random.u8(0..if depth == 0 { 5 } else { 8 }) {
        0 => Filter::Eq(field, value(random)),
        1 => Filter::In(field, (0..random.usize(0..4)).map(|_| value(random)).collect()),
        2 => Filter::Lt(field, value(random)),
        3 => Filter::Ge(field, if random.u8(..) < 20 { f64::NAN.into() } else { value(random) }),
        4 => Filter::Exists(field),
        5 => Filter::Not(Box::new(filter(random, depth - 1))),
        6 => Filter::All((0..random.usize(0..3)).map(|_| filter(random, depth - 1)).collect()),
        _ => Filter::Any((0..random.usize(0..3)).map(|_| filter(random, depth - 1)).collect()),
    }
}
