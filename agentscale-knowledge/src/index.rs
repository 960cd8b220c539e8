//! A vector index on disk: exact for small partitions, approximate for large ones.

mod env;
mod error;
mod graph;
mod nearest;
mod partition;
mod pending;
pub(crate) mod vector;

use std::path::Path;

use agentscale_core::{Error, ErrorKind, Result};
use roaring::RoaringBitmap;

use self::graph::{Graph, Merge};
use self::nearest::Nearest;
pub use self::nearest::Scored;
use self::partition::PartitionState;
use self::pending::{Pending, Tables};

const POSITION: &str = "position";
const SOURCE: &str = "source";
const NEXT_GRAPH: &str = "next_graph";

/// Sizes and limits of a [`VectorIndex`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IndexConfig {
    /// The length of every vector.
    pub dimensions: usize,
    /// How many vectors of a partition are scanned exactly before a graph is built over them, and how
    /// many candidates of a filter are always scanned; more of them where that is faster than the graph.
    /// Default 10,000.
    pub exact_up_to: usize,
    /// How many candidates a search keeps; more of them cost time and raise recall. A search under a
    /// filter keeps as many more as it needs. Default 64.
    pub ef_search: usize,
    /// The same while a graph is built. Default 48.
    pub ef_construction: usize,
    /// How many threads build graphs. Default: one a CPU.
    pub build_threads: usize,
    /// The address space reserved for each of the index's two files, in bytes; a file grows up to that
    /// size. Default 256 GiB.
    pub map_bytes: usize,
}

impl IndexConfig {
    /// The defaults for vectors of `dimensions` numbers.
    pub fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            exact_up_to: 10_000,
            ef_search: 64,
            ef_construction: 48,
            build_threads: std::thread::available_parallelism().map_or(1, usize::from),
            map_bytes: 256 << 30,
        }
    }
}

/// One change to the index. An item's vector never changes: a new version is a new item.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Adds an item.
    Put {
        /// The partition that owns it.
        partition: u32,
        /// Its number, used once.
        item: u32,
        /// Its vector, of any length but zero.
        vector: Vec<f32>,
    },
    /// Removes an item; removing one that is not there does nothing.
    Delete {
        /// The partition that owns it.
        partition: u32,
        /// Its number.
        item: u32,
    },
}

/// Vectors by partition and number, in one folder, found by cosine similarity.
///
/// A partition is hard: a search sees one and no other. New vectors are scanned exactly; once more than
/// [`IndexConfig::exact_up_to`] of them wait, [`VectorIndex::merge`] moves them into the partition's graph.
/// Deleted items leave every answer at once and the graph at its next merge.
///
/// All operations block: call them from a thread that may wait. Searches run beside each other, beside
/// writes and beside merges. Every operation is one transaction or can be repeated; applying the same
/// changes twice is the same as once.
#[derive(Debug)]
pub struct VectorIndex {
    pending: Pending,
    graph: Graph,
    config: IndexConfig,
}

impl VectorIndex {
    /// Opens the index in `dir`, which holds what was derived from `source`. An index of another source
    /// or other dimensions is discarded: it can be derived again.
    ///
    /// # Errors
    /// `corrupt` when the files are no index, `conflict` when this process has it open already,
    /// `unavailable` when the folder cannot be used.
    pub fn open(dir: &Path, source: &[u8], config: IndexConfig) -> Result<Self> {
        let identity = [source, &config.dimensions.to_be_bytes()].concat();
        let index = Self::open_files(dir, config.clone())?;
        let stored = index.pending.read("open vector index", |tables, txn| tables.meta(txn, SOURCE))?;
        if stored.as_deref() == Some(&identity) {
            return Ok(index);
        }
        drop(index);
        Self::remove(dir)?;
        let index = Self::open_files(dir, config)?;
        index.pending.write("open vector index", |tables, txn| tables.put_meta(txn, SOURCE, &identity))?;
        Ok(index)
    }

    /// Deletes the index in `dir`, which must not be open.
    ///
    /// # Errors
    /// `unavailable` when the folder cannot be deleted.
    pub fn remove(dir: &Path) -> Result<()> {
        match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::new(ErrorKind::Unavailable, "delete vector index")
                    .with_context("path", dir.display())
                    .with_source(error))
            }
            _ => Ok(()),
        }
    }

    fn open_files(dir: &Path, config: IndexConfig) -> Result<Self> {
        let pending = Pending::open(&dir.join("pending"), config.map_bytes)?;
        let graph = Graph::open(&dir.join("graph"), &config)?;
        Ok(Self { pending, graph, config })
    }

    /// Applies `changes` in order and records `position`: how far the source was followed, in its own
    /// terms. Answers whether a partition now wants a [`VectorIndex::merge`].
    ///
    /// # Errors
    /// `invalid_input` when a vector has other dimensions or no direction; then nothing is applied.
    pub fn apply(&self, changes: &[Change], position: &[u8]) -> Result<bool> {
        let mut outgrown = false;
        self.pending.write("apply to vector index", |tables, txn| {
            for change in changes {
                match change {
                    Change::Put { partition, item, vector } => {
                        let unit = vector::to_bytes(&self.unit(vector)?);
                        let mut state = tables.state(txn, *partition)?.unwrap_or_default();
                        state.pending += u64::from(tables.put(txn, *partition, *item, &unit)?);
                        outgrown |= self.wants_merge(&state);
                        tables.put_state(txn, *partition, &state)?;
                    }
                    Change::Delete { partition, item } => {
                        let Some(mut state) = tables.state(txn, *partition)? else { continue };
                        state.pending -= u64::from(tables.delete(txn, *partition, *item)?);
                        // Also when the graph does not have it: a merge under way may be adding it.
                        if state.graph.is_some() {
                            state.dead.insert(*item);
                        }
                        outgrown |= self.wants_merge(&state);
                        tables.put_state(txn, *partition, &state)?;
                    }
                }
            }
            tables.put_meta(txn, POSITION, position)
        })?;
        Ok(outgrown)
    }

    /// The items of `partition` nearest to `query`, best first: `limit` of them, or all where there are
    /// fewer. With `allowed`, only items in it.
    ///
    /// # Errors
    /// `invalid_input` when `query` has other dimensions or no direction.
    pub fn search(
        &self,
        partition: u32,
        query: &[f32],
        limit: usize,
        allowed: Option<&RoaringBitmap>,
    ) -> Result<Vec<Scored>> {
        let query = self.unit(query)?;
        // The pending vectors first: what a merge takes from them is in the graph before that.
        self.pending.read("search vectors", |tables, txn| {
            let Some(state) = tables.state(txn, partition)? else { return Ok(Vec::new()) };
            let mut nearest = Nearest::new(limit);
            if let Some(number) = state.graph {
                let mut in_graph = Nearest::new(limit);
                self.graph.search(number, &query, limit, (&state.dead, allowed), &mut in_graph)?;
                for scored in in_graph.into_sorted() {
                    if !tables.contains(txn, partition, scored.item)? {
                        nearest.offer(scored);
                    }
                }
            }
            tables.scan(txn, partition, &query, allowed, &mut nearest)?;
            Ok(nearest.into_sorted())
        })
    }

    /// The position that was recorded last; `None` for a new index.
    ///
    /// # Errors
    /// `corrupt` when that record cannot be read.
    pub fn position(&self) -> Result<Option<Vec<u8>>> {
        self.pending.read("read index state", |tables, txn| tables.meta(txn, POSITION))
    }

    /// The partitions in which more vectors wait, or more are deleted, than are to be scanned.
    ///
    /// # Errors
    /// `corrupt` when a partition's record cannot be read.
    pub fn to_merge(&self) -> Result<Vec<u32>> {
        let states = self.pending.read("list partitions", |tables, txn| tables.states(txn))?;
        let outgrown = states.into_iter().filter(|(_, state)| self.wants_merge(state));
        Ok(outgrown.map(|(partition, _)| partition).collect())
    }

    /// Moves the waiting vectors of `partition` into its graph and takes deleted ones out. Meant for one
    /// caller at a time; stops soon after `cancelled` answers true, leaving all as it was.
    ///
    /// # Errors
    /// `cancelled`; `overloaded` when the files reached [`IndexConfig::map_bytes`] or 65,536 partitions
    /// have graphs.
    pub fn merge(&self, partition: u32, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<()> {
        let number = self.pending.write("begin merge", |tables, txn| graph_number(tables, txn, partition))?;
        let merge = self.pending.read("begin merge", |tables, txn| {
            let dead = tables.state(txn, partition)?.unwrap_or_default().dead;
            let mut merge = Merge { added: Vec::new(), dead };
            tables.each(txn, partition, |item, bytes| {
                merge.added.push((item, bytes.to_vec()));
                Ok(())
            })?;
            Ok(merge)
        })?;
        self.graph.build(number, &merge, cancelled)?;
        self.pending.write("end merge", |tables, txn| {
            let mut state = tables.state(txn, partition)?.unwrap_or_default();
            for (item, _) in &merge.added {
                state.pending -= u64::from(tables.delete(txn, partition, *item)?);
            }
            state.dead -= &merge.dead;
            tables.put_state(txn, partition, &state)
        })
    }

    fn wants_merge(&self, state: &PartitionState) -> bool {
        let most = self.config.exact_up_to as u64;
        state.pending > most || state.dead.len() > most
    }

    fn unit<'v>(&self, vector: &'v [f32]) -> Result<std::borrow::Cow<'v, [f32]>> {
        if vector.len() != self.config.dimensions {
            return Err(Error::new(ErrorKind::InvalidInput, "read vector")
                .with_context("expected dimensions", self.config.dimensions)
                .with_context("dimensions", vector.len()));
        }
        vector::unit(vector).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "read vector")
                .with_context("reason", "a vector needs a direction: it is zero or not finite")
        })
    }
}

fn graph_number(tables: Tables<'_>, txn: &mut heed::RwTxn<'_>, partition: u32) -> Result<u16> {
    let mut state = tables.state(txn, partition)?.unwrap_or_default();
    if let Some(number) = state.graph {
        return Ok(number);
    }
    let next = tables
        .meta(txn, NEXT_GRAPH)?
        .map_or(0, |bytes| bytes.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)));
    let number = u16::try_from(next)
        .map_err(|_| Error::new(ErrorKind::Overloaded, "begin merge").with_context("graphs", next))?;
    tables.put_meta(txn, NEXT_GRAPH, &(next + 1).to_be_bytes())?;
    state.graph = Some(number);
    tables.put_state(txn, partition, &state)?;
    Ok(number)
}
