//! Search by vector: recall beside speed, build time and size, on clustered vectors.
//!
//! `cargo bench --bench knowledge -- [vectors]`, 100,000 by default. The vectors are of 384 numbers and length
//! one: 1,000 centres in 64 dimensions, a spread of half a centre's around each, turned into 384 dimensions with
//! noise on each number. Queries are drawn from the same mixture and are not among the vectors. The truth is an
//! exact scan. A filter lets entries fit at random, or all of some clusters and none of the others. Every figure is of
//! this one run; searches run on one thread, with the default `ef` of 64 where none is named.

use std::time::{Duration, Instant};

use agentscale_knowledge::index::{Change, IndexConfig, VectorIndex};
use roaring::RoaringBitmap;

const DIMENSIONS: usize = 384;
const QUERIES: usize = 500;
const NEAREST: usize = 10;
const CENTRES: usize = 1_000;
const LATENT: usize = 64;
const PARTITION: u32 = 1;
/// The recall that a search must reach.
const ASKED: f64 = 0.95;
/// How often a tenth of the vectors is replaced.
const REPLACED: usize = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let count = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let mut random = fastrand::Rng::with_seed(7);
    let mixture = Mixture::new(&mut random);
    let mut vectors: Vec<(usize, Vec<f32>)> = (0..count).map(|_| mixture.draw(&mut random)).collect();
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| mixture.draw(&mut random).1).collect();
    let folder = tempfile::tempdir().expect("a folder for the index");

    println!("{count} vectors x {DIMENSIONS}, {QUERIES} queries, {NEAREST} nearest, one thread a query");
    let index = open(folder.path(), IndexConfig::new(DIMENSIONS));
    let add = timed(|| add(&index, &vectors));
    println!("add                        {:>9.2} s  ({:.0} vectors/s)", add.as_secs_f64(), rate(count, add));
    let exact = Measured::of(&index, &vectors, &queries, None);
    exact.print("exact scan of all", &exact, None);
    let build = timed(|| index.merge(PARTITION, &|| false).expect("the graph is built"));
    println!("build the graph            {:>9.2} s  ({} threads)", build.as_secs_f64(), threads());
    drop(index);

    for ef in [16, 32, 64, 128] {
        let mut config = IndexConfig::new(DIMENSIONS);
        config.ef_search = ef;
        let index = open(folder.path(), config);
        let asked = (ef >= 32).then_some(ASKED);
        Measured::of(&index, &vectors, &queries, None).print(&format!("graph, ef {ef}"), &exact, asked);
    }
    let began = Instant::now();
    let index = open(folder.path(), IndexConfig::new(DIMENSIONS));
    println!("reopen                     {:>9.2} ms", began.elapsed().as_secs_f64() * 1e3);
    for (share, of) in [("a half", 2), ("a fifth", 5), ("a twentieth", 20), ("a hundredth", 100)] {
        let scattered = filter(&vectors, |_, _| random.usize(..of) == 0);
        let clustered = filter(&vectors, |_, centre| centre % of == 0);
        for (allowed, whose) in [(scattered, "of entries"), (clustered, "of clusters")] {
            let measured = Measured::of(&index, &vectors, &queries, Some(&allowed));
            measured.print(&format!("{share} {whose} fit"), &exact, Some(ASKED));
        }
    }
    for round in 1..=REPLACED {
        let replaced = timed(|| replace(&index, &mixture, &mut vectors, count / 10, &mut random));
        println!("replace a tenth            {:>9.2} s", replaced.as_secs_f64());
        let live: RoaringBitmap = (0..vectors.len() as u32).skip(round * (count / 10)).collect();
        let measured = Measured::among(&index, &vectors, &queries, (None, Some(&live)));
        measured.print(&format!("replaced {round} tenths"), &exact, Some(ASKED));
    }
    println!("on disk                    {:>9} MB", size(folder.path()) >> 20);
}

/// How a set of queries went.
struct Measured {
    recall: f64,
    per_second: f64,
}

impl Measured {
    fn of(
        index: &VectorIndex,
        vectors: &[(usize, Vec<f32>)],
        queries: &[Vec<f32>],
        allowed: Option<&RoaringBitmap>,
    ) -> Self {
        Self::among(index, vectors, queries, (allowed, allowed))
    }

    /// A search of those `allowed`, where those that fit are in the index.
    fn among(
        index: &VectorIndex,
        vectors: &[(usize, Vec<f32>)],
        queries: &[Vec<f32>],
        (allowed, fit): (Option<&RoaringBitmap>, Option<&RoaringBitmap>),
    ) -> Self {
        let began = Instant::now();
        let found: Vec<Vec<u32>> = queries
            .iter()
            .map(|query| {
                let found = index.search(PARTITION, query, NEAREST, allowed).expect("the search is answered");
                found.into_iter().map(|scored| scored.item).collect()
            })
            .collect();
        let per_second = rate(queries.len(), began.elapsed());
        let hits: usize = queries
            .iter()
            .zip(&found)
            .map(|(query, found)| {
                let truth = truth(vectors, query, fit);
                assert_eq!(found.len(), truth.len(), "as many come back as fit");
                found.iter().filter(|item| truth.contains(item)).count()
            })
            .sum();
        Self { recall: hits as f64 / (queries.len() * NEAREST) as f64, per_second }
    }

    fn print(&self, name: &str, exact: &Self, asked: Option<f64>) {
        let ratio = self.per_second / exact.per_second;
        let verdict = asked.map_or(String::new(), |asked| {
            format!("  asked >= {asked}{}", if self.recall < asked { ", missed" } else { "" })
        });
        println!(
            "{name:<30} recall@10 {:.4}  {:>6.0} queries/s  {ratio:>5.1} x exact{verdict}",
            self.recall, self.per_second
        );
    }
}

/// Gaussian clusters in few dimensions, seen in many.
struct Mixture {
    centres: Vec<Vec<f32>>,
    projection: Vec<f32>,
}

impl Mixture {
    fn new(random: &mut fastrand::Rng) -> Self {
        let mut gaussians = |count: usize| (0..count).map(|_| gaussian(random)).collect::<Vec<f32>>();
        let centres = (0..CENTRES).map(|_| gaussians(LATENT)).collect();
        Self { centres, projection: gaussians(LATENT * DIMENSIONS) }
    }

    /// A vector of length one, and the centre that it is drawn around.
    fn draw(&self, random: &mut fastrand::Rng) -> (usize, Vec<f32>) {
        const SPREAD: f32 = 0.5;
        const NOISE: f32 = 0.8;
        let centre = random.usize(..CENTRES);
        let mut vector: Vec<f32> = (0..DIMENSIONS).map(|_| NOISE * gaussian(random)).collect();
        for (latent, row) in self.centres[centre].iter().zip(self.projection.chunks(DIMENSIONS)) {
            let value = latent + SPREAD * gaussian(random);
            vector.iter_mut().zip(row).for_each(|(sum, weight)| *sum += value * weight);
        }
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        (centre, vector)
    }
}

/// Box and Muller's.
fn gaussian(random: &mut fastrand::Rng) -> f32 {
    (-2.0 * (1.0 - random.f32()).ln()).sqrt() * (std::f32::consts::TAU * random.f32()).cos()
}

fn open(folder: &std::path::Path, config: IndexConfig) -> VectorIndex {
    VectorIndex::open(folder, b"bench", config).expect("the index opens")
}

fn add(index: &VectorIndex, vectors: &[(usize, Vec<f32>)]) {
    for (number, chunk) in vectors.chunks(1_000).enumerate() {
        let changes: Vec<Change> = chunk
            .iter()
            .zip(number as u32 * 1_000..)
            .map(|((_, vector), item)| Change::Put { partition: PARTITION, item, vector: vector.clone() })
            .collect();
        index.apply(&changes, b"").expect("the vectors are added");
    }
}

/// Takes the oldest vectors out of the index and puts as many new ones in.
fn replace(
    index: &VectorIndex,
    mixture: &Mixture,
    vectors: &mut Vec<(usize, Vec<f32>)>,
    count: usize,
    random: &mut fastrand::Rng,
) {
    let next = vectors.len() as u32;
    let oldest = (next / count as u32 - 10) * count as u32;
    vectors.extend((0..count).map(|_| mixture.draw(random)));
    let mut changes: Vec<Change> =
        (oldest..).take(count).map(|item| Change::Delete { partition: PARTITION, item }).collect();
    changes.extend((next..).zip(&vectors[next as usize..]).map(|(item, (_, vector))| Change::Put {
        partition: PARTITION,
        item,
        vector: vector.clone(),
    }));
    index.apply(&changes, b"").expect("the vectors are replaced");
    index.merge(PARTITION, &|| false).expect("the graph changes");
}

fn truth(vectors: &[(usize, Vec<f32>)], query: &[f32], allowed: Option<&RoaringBitmap>) -> Vec<u32> {
    let mut scored: Vec<(f32, u32)> = (0..)
        .zip(vectors)
        .filter(|(item, _)| allowed.is_none_or(|allowed| allowed.contains(*item)))
        .map(|(item, (_, vector))| (-dot(query, vector), item))
        .collect();
    if scored.len() > NEAREST {
        scored.select_nth_unstable_by(NEAREST - 1, |a, b| a.0.total_cmp(&b.0));
        scored.truncate(NEAREST);
    }
    scored.into_iter().map(|(_, item)| item).collect()
}

/// Sums in lanes, which the compiler turns into instructions on several numbers at a time.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    for (x, y) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        sums.iter_mut().zip(x).zip(y).for_each(|((sum, x), y)| *sum += x * y);
    }
    sums.iter().sum()
}

fn filter(vectors: &[(usize, Vec<f32>)], mut fits: impl FnMut(u32, usize) -> bool) -> RoaringBitmap {
    (0..).zip(vectors).filter(|(item, (centre, _))| fits(*item, *centre)).map(|(item, _)| item).collect()
}

fn size(folder: &std::path::Path) -> u64 {
    let files = ["pending/data.mdb", "graph/data.mdb"];
    files.iter().filter_map(|file| std::fs::metadata(folder.join(file)).ok()).map(|about| about.len()).sum()
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
