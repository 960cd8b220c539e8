//! The vector index against an exact scan of the same vectors.

use std::collections::BTreeMap;

use agentscale_core::ErrorKind;
use agentscale_knowledge::index::{Change, IndexConfig, VectorIndex};
use roaring::RoaringBitmap;

const DIMENSIONS: usize = 24;

type Oracle = BTreeMap<(u32, u32), Vec<f32>>;

fn config(exact_up_to: usize) -> IndexConfig {
    let mut config = IndexConfig::new(DIMENSIONS);
    config.exact_up_to = exact_up_to;
    config.map_bytes = 64 << 20;
    config
}

fn random_vector(random: &mut fastrand::Rng) -> Vec<f32> {
    (0..DIMENSIONS).map(|_| random.f32() - 0.5).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn exact(oracle: &Oracle, partition: u32, query: &[f32], allowed: Option<&RoaringBitmap>) -> Vec<u32> {
    let mut scored: Vec<(f32, u32)> = oracle
        .iter()
        .filter(|((p, item), _)| *p == partition && allowed.is_none_or(|a| a.contains(*item)))
        .map(|((_, item), vector)| (cosine(query, vector), *item))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().map(|(_, item)| item).collect()
}

fn put(partition: u32, item: u32, vector: &[f32]) -> Change {
    Change::Put { partition, item, vector: vector.to_vec() }
}

#[test]
fn answers_are_complete_under_random_changes_merges_filters_and_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    let mut oracle = Oracle::new();
    let mut index = VectorIndex::open(folder.path(), b"s", config(30)).unwrap();
    let (mut next, mut hits, mut asked) = (0, 0, 0);
    for round in 0..60u64 {
        let mut changes = Vec::new();
        for _ in 0..random.usize(1..40) {
            let partition = random.u32(0..2);
            if random.u8(..) < 90 && !oracle.is_empty() {
                let victim = *oracle.keys().nth(random.usize(..oracle.len())).unwrap();
                oracle.remove(&victim);
                changes.push(Change::Delete { partition: victim.0, item: victim.1 });
            } else {
                let vector = random_vector(&mut random);
                changes.push(put(partition, next, &vector));
                oracle.insert((partition, next), vector);
                next += 1;
            }
        }
        index.apply(&changes, &round.to_be_bytes()).unwrap();
        if round % 3 == 0 {
            for partition in index.to_merge().unwrap() {
                index.merge(partition, &|| false).unwrap();
            }
        }
        if round == 40 {
            let doomed: Vec<(u32, u32)> = oracle.keys().copied().filter(|key| key.0 == 0).collect();
            let deletes: Vec<Change> = doomed
                .iter()
                .map(|(partition, item)| Change::Delete { partition: *partition, item: *item })
                .collect();
            index.apply(&deletes, &round.to_be_bytes()).unwrap();
            index.merge(0, &|| false).unwrap();
            oracle.retain(|key, _| key.0 != 0);
        }
        if round % 7 == 0 {
            drop(index);
            index = VectorIndex::open(folder.path(), b"s", config(30)).unwrap();
            assert_eq!(index.position().unwrap(), Some(round.to_be_bytes().to_vec()));
        }
        let query = random_vector(&mut random);
        let third: RoaringBitmap = (0..next).filter(|item| item % 3 == 0).collect();
        for (partition, allowed) in [(0, None), (1, None), (0, Some(&third)), (1, Some(&third))] {
            let expected = exact(&oracle, partition, &query, allowed);
            let found = index.search(partition, &query, 10, allowed).unwrap();
            assert_eq!(found.len(), expected.len().min(10), "round {round}");
            for scored in &found {
                assert!(expected.contains(&scored.item), "a deleted or foreign item in round {round}");
                let similarity = cosine(&query, &oracle[&(partition, scored.item)]);
                assert!((similarity - scored.similarity).abs() < 1e-3);
            }
            hits += found.iter().filter(|scored| expected[..found.len()].contains(&scored.item)).count();
            asked += found.len();
        }
    }
    assert!(hits as f64 >= 0.99 * asked as f64, "recall {hits} of {asked}");
}

/// 20 clusters of 100 vectors. A filter at odds with the query's cluster is what a graph is worst at.
#[test]
fn a_filter_is_answered_with_a_recall_of_95_percent_whatever_it_keeps() {
    const CLUSTERS: u32 = 20;
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(23);
    let centres: Vec<Vec<f32>> = (0..CLUSTERS).map(|_| random_vector(&mut random)).collect();
    let near = |centre: usize, random: &mut fastrand::Rng| -> Vec<f32> {
        centres[centre].iter().map(|x| x + 0.1 * (random.f32() - 0.5)).collect()
    };
    let vectors: Vec<Vec<f32>> = (0..2_000).map(|item| near(item % CLUSTERS as usize, &mut random)).collect();
    let oracle: Oracle = (0..).zip(&vectors).map(|(item, vector)| ((1, item), vector.clone())).collect();
    let mut config = config(20);
    config.ef_search = 12;
    let index = VectorIndex::open(folder.path(), b"s", config).unwrap();
    let changes: Vec<Change> = (0..).zip(&vectors).map(|(item, vector)| put(1, item, vector)).collect();
    index.apply(&changes, b"1").unwrap();
    index.merge(1, &|| false).unwrap();
    let queries: Vec<Vec<f32>> = (0..40).map(|query| near(query % CLUSTERS as usize, &mut random)).collect();
    for of in [2, 5, 20, 100] {
        let scattered: RoaringBitmap = (0..2_000).filter(|_| random.u32(..of) == 0).collect();
        let clustered: RoaringBitmap =
            (0..2_000).filter(|item| (item % CLUSTERS).is_multiple_of(of)).collect();
        for (allowed, kept) in [(scattered, "items"), (clustered, "clusters")] {
            let (mut hits, mut asked) = (0, 0);
            for query in &queries {
                let expected = exact(&oracle, 1, query, Some(&allowed));
                let found = index.search(1, query, 10, Some(&allowed)).unwrap();
                assert_eq!(found.len(), expected.len().min(10), "1 of {of} {kept}");
                assert!(found.iter().all(|scored| allowed.contains(scored.item)), "1 of {of} {kept}");
                hits += found.iter().filter(|scored| expected[..found.len()].contains(&scored.item)).count();
                asked += found.len();
            }
            assert!(hits * 100 >= asked * 95, "1 of {of} {kept}: {hits} of {asked}");
        }
    }
}

/// hannoy's own changes of a graph cut off most of it in some of such runs.
#[test]
fn items_stay_in_reach_while_a_graph_is_replaced_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(31);
    let mut config = config(20);
    config.ef_search = 16;
    let index = VectorIndex::open(folder.path(), b"s", config).unwrap();
    let mut live = Oracle::new();
    for round in 0..4u32 {
        let keys: Vec<u32> = live.keys().map(|(_, item)| *item).filter(|_| random.u8(..4) == 0).collect();
        let mut changes: Vec<Change> = Vec::new();
        for item in keys {
            live.remove(&(1, item));
            changes.push(Change::Delete { partition: 1, item });
        }
        for item in (1_000 * round..).take(600 - live.len()) {
            let vector = random_vector(&mut random);
            changes.push(put(1, item, &vector));
            live.insert((1, item), vector);
        }
        index.apply(&changes, b"1").unwrap();
        index.merge(1, &|| false).unwrap();
        let found = live.iter().filter(|((_, item), vector)| {
            index.search(1, vector, 1, None).unwrap().first().is_some_and(|scored| scored.item == *item)
        });
        let found = found.count();
        assert!(found * 100 >= live.len() * 95, "round {round}: {found} of {} are found", live.len());
    }
}

#[test]
fn a_merge_that_is_cancelled_leaves_every_answer_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let index = VectorIndex::open(folder.path(), b"s", config(30)).unwrap();
    let vectors: Vec<Vec<f32>> = (0..50).map(|_| random_vector(&mut random)).collect();
    let changes: Vec<Change> = vectors.iter().zip(0..).map(|(vector, item)| put(1, item, vector)).collect();
    index.apply(&changes, b"1").unwrap();
    let before = index.search(1, &vectors[7], 5, None).unwrap();

    assert_eq!(index.merge(1, &|| true).unwrap_err().kind(), ErrorKind::Cancelled);

    assert_eq!(index.search(1, &vectors[7], 5, None).unwrap(), before);
    assert_eq!(index.to_merge().unwrap(), [1]);
    assert_eq!(before[0].item, 7);
}

#[test]
fn applying_the_same_changes_again_is_the_same_as_once() {
    let folder = tempfile::tempdir().unwrap();
    let index = VectorIndex::open(folder.path(), b"s", config(3)).unwrap();
    let mut random = fastrand::Rng::with_seed(6);
    let vectors: Vec<Vec<f32>> = (0..9).map(|_| random_vector(&mut random)).collect();
    let mut changes: Vec<Change> = vectors.iter().zip(0..).map(|(v, item)| put(1, item, v)).collect();
    changes.push(Change::Delete { partition: 1, item: 4 });
    for _ in 0..2 {
        index.apply(&changes, b"1").unwrap();
        assert_eq!(index.search(1, &vectors[4], 20, None).unwrap().len(), 8);
        index.merge(1, &|| false).unwrap();
        assert_eq!(index.search(1, &vectors[4], 20, None).unwrap().len(), 8);
    }
}

#[test]
fn an_index_of_another_source_or_other_dimensions_is_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let index = VectorIndex::open(folder.path(), b"one", config(3)).unwrap();
    index.apply(&[put(1, 1, &[1.0; DIMENSIONS])], b"5").unwrap();
    drop(index);

    let index = VectorIndex::open(folder.path(), b"two", config(3)).unwrap();
    assert_eq!(index.position().unwrap(), None);
    assert_eq!(index.search(1, &[1.0; DIMENSIONS], 5, None).unwrap(), []);
}

#[test]
fn a_vector_of_other_dimensions_or_without_direction_is_invalid_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let index = VectorIndex::open(folder.path(), b"s", config(3)).unwrap();
    for bad in [vec![1.0; DIMENSIONS + 1], vec![0.0; DIMENSIONS], vec![f32::NAN; DIMENSIONS]] {
        let changes = [put(1, 1, &[1.0; DIMENSIONS]), put(1, 2, &bad)];
        assert_eq!(index.apply(&changes, b"1").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(index.search(1, &bad, 1, None).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(index.position().unwrap(), None);
    assert_eq!(index.search(1, &[1.0; DIMENSIONS], 5, None).unwrap(), []);
}
