//! How the nearest of some items are found: through the graph where that is faster, else by a scan of them.

use hannoy::Reader;
use hannoy::distances::Cosine;
use heed::RoTxn;
use roaring::RoaringBitmap;

use super::IndexConfig;
use crate::index::nearest::{Nearest, Scored};
use crate::index::vector::dot;

/// How many items are scanned in the time that the graph takes for one more candidate. Measured by
/// `benches/knowledge.rs`.
const SCANNED_PER_CANDIDATE: f64 = 10.0;
/// How many fitting items, for each that is wanted, are to be expected among the nearest of all.
const EXPECTED_PER_WANTED: f64 = 2.0;
/// How much more candidates are kept where what fits lies elsewhere than the query.
const WIDER: usize = 4;

/// One search of one graph.
pub(super) struct Search<'a> {
    pub(super) reader: &'a Reader<'a, Cosine>,
    pub(super) txn: &'a RoTxn<'a>,
    pub(super) query: &'a [f32],
    pub(super) limit: usize,
    pub(super) config: &'a IndexConfig,
}

type Found = Vec<(u32, f32)>;

/// The share of a sample of the items that is found by their own vectors.
pub(super) fn reached(
    reader: &Reader<'_, Cosine>,
    txn: &RoTxn<'_>,
    config: &IndexConfig,
) -> hannoy::Result<f64> {
    const SAMPLE: u64 = 500;
    let every = reader.n_items().div_ceil(SAMPLE).max(1) as usize;
    let (mut asked, mut reached) = (0_u32, 0_u32);
    for item in reader.item_ids().iter().step_by(every) {
        let Some(vector) = reader.item_vector(txn, item)? else { continue };
        let search = Search { reader, txn, query: &vector, limit: 1, config };
        let found = search.nearest_of_all(1, config.ef_search)?;
        asked += 1;
        // By its distance: another item may have the same vector.
        reached += u32::from(found.first().is_some_and(|(_, distance)| *distance < 1e-5));
    }
    Ok(f64::from(reached) / f64::from(asked.max(1)))
}

impl Search<'_> {
    /// Offers the nearest of the items in `live`, or of all.
    pub(super) fn run(&self, live: Option<&RoaringBitmap>, nearest: &mut Nearest) -> hannoy::Result<()> {
        let items = live.unwrap_or(self.reader.item_ids());
        let wanted = self.limit.min(usize::try_from(items.len()).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(());
        }
        let found = match live {
            None => Some(self.nearest_of_all(wanted, self.config.ef_search)?),
            Some(live) => self.nearest_of(live, wanted)?,
        };
        match found.filter(|found| found.len() >= wanted) {
            Some(found) => {
                let similar = found.into_iter().map(|(item, distance)| (item, 1.0 - 2.0 * distance));
                similar.for_each(|(item, similarity)| nearest.offer(Scored { item, similarity }));
            }
            None => self.scan(items, nearest)?,
        }
        Ok(())
    }

    /// Looks among the nearest of all first: where what fits is as dense there as everywhere, it is found
    /// in a fraction of the time. Where the filter keeps other regions than the query's, the graph is
    /// walked to them. `None` where a scan is faster.
    fn nearest_of(&self, live: &RoaringBitmap, wanted: usize) -> hannoy::Result<Option<Found>> {
        let share = live.len() as f64 / self.reader.n_items() as f64;
        let is_slow = |candidates: f64| candidates * SCANNED_PER_CANDIDATE >= live.len() as f64;

        let ef = self.config.ef_search.max((EXPECTED_PER_WANTED * wanted as f64 / share).ceil() as usize);
        if live.len() <= self.config.exact_up_to as u64 || is_slow(ef as f64) {
            return Ok(None);
        }
        let mut found = self.nearest_of_all(ef, ef)?;
        let dense = (found.len() as f64 * share / EXPECTED_PER_WANTED) as usize;
        found.retain(|(item, _)| live.contains(*item));
        if found.len() >= wanted.max(dense) {
            return Ok(Some(found));
        }

        let ef = WIDER * self.config.ef_search.max(wanted);
        if is_slow(ef as f64 / share) {
            return Ok(None);
        }
        let mut search = self.reader.nns(wanted);
        search.ef_search(ef).linear_below(0).candidates(live);
        Ok(Some(search.by_vector(self.txn, self.query)?.into_nns()))
    }

    fn nearest_of_all(&self, count: usize, ef: usize) -> hannoy::Result<Found> {
        let mut search = self.reader.nns(count);
        search.ef_search(ef);
        Ok(search.by_vector(self.txn, self.query)?.into_nns())
    }

    fn scan(&self, items: &RoaringBitmap, nearest: &mut Nearest) -> hannoy::Result<()> {
        for item in items {
            if let Some(vector) = self.reader.item_vector(self.txn, item)? {
                nearest.offer(Scored { item, similarity: dot(self.query, &vector) });
            }
        }
        Ok(())
    }
}
