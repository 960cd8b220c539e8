//! What must survive a crash: [`CheckpointStore`](agentscale_core::CheckpointStore) on SQLite, on PostgreSQL and in
//! memory.
//!
//! Not for you if you look for a database of your own records: a checkpoint is the state of one agent, found by the
//! agent's name and nothing else. Where several machines share agents, SQLite is not for you: it needs a file system
//! whose locks hold, and those of networks often do not; nor where one thread is too slow to write for all agents of a file.
//! [`InMemoryCheckpointStore`] forgets everything with its process: it is for tests, and for agents whose loss costs nothing.
//!
//! ```
//! use agentscale_core::checkpoint::{
//!     ClaimRequest, Commit, CommitId, FieldWrite, LoadRequest, StateHeader, Version,
//! };
//! use agentscale_core::{AgentId, CheckpointStore, ErrorKind, MessageId, Tenant};
//! use agentscale_store::SqliteCheckpointStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> agentscale_core::Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder is made");
//! # let folder = folder.path();
//! let store = SqliteCheckpointStore::open(folder.join("checkpoints.db")).await?;
//! let alice = AgentId::new(&Tenant::new("acme")?, "note", "alice")?;
//!
//! let claim = store.claim(ClaimRequest::new(alice.clone())).await?;
//! let id = CommitId(*MessageId::new(1).as_uuid());
//! let mut commit = Commit::new(id, alice.clone(), claim.epoch, claim.version(), StateHeader::json(1));
//! commit.fields.push(FieldWrite::Append { name: "notes".into(), items: r#"["buy milk"]"#.into() });
//! store.commit(commit.clone()).await?;
//! // Sent again because its answer was lost, it succeeds once.
//! assert_eq!(store.commit(commit.clone()).await?.version, Version(1));
//!
//! // Another owner claims the thread: from now on the first one is refused.
//! let claim = store.claim(ClaimRequest::new(alice.clone())).await?;
//! assert_eq!(store.commit(commit).await.unwrap_err().kind(), ErrorKind::Fenced);
//! let tip = store.load(LoadRequest::tip(alice)).await?.expect("alice has committed");
//! assert_eq!((tip.info.version, claim.version()), (Version(1), Version(1)));
//! store.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! | store | survives | levels | shared by |
//! |---|---|---|---|
//! | [`SqliteCheckpointStore`] | kill -9; loss of power at *disk* | *buffered*, *process*, *disk* | processes of one machine |
//! | `PostgresCheckpointStore` (feature `postgres`) | death of its host; loss of power of the server at *disk* | *buffered*, *process*, *disk* | any number of instances |
//! | [`InMemoryCheckpointStore`] | nothing | *buffered*, *process* | clones |
//!
//! [`SqliteLeaseStore`], [`InMemoryLeaseStore`] and `PostgresLeaseStore` (feature `postgres`) keep leases
//! ([`LeaseStore`](agentscale_core::LeaseStore)): one holder at a time of whatever they are named for.
//!
//! [`SqliteBudgetLedger`] keeps budgets and usage ([`BudgetLedger`](agentscale_core::BudgetLedger)) for the processes of
//! one machine, `PostgresBudgetLedger` (feature `postgres`) for any number of instances.
//!
//! `RedisRunStreams` (feature `redis`) keeps the events of runs ([`RunStreams`](agentscale_core::RunStreams)) where every
//! process finds them, for a while.
//!
//! [`SqliteJobQueue`] keeps jobs until workers have done them ([`JobQueue`](agentscale_core::JobQueue)).
//!
//! [`ObservationLog`] keeps what happened, for whoever looks for it later, on a [`SqliteObservationStore`] or a
//! `PostgresObservationStore` (feature `postgres`); [`archive`] is where old months go.
//!
//! [`SqliteSlotStore`], [`InMemorySlotStore`] and `PostgresSlotStore` (feature `postgres`) count how many runs of an account
//! are under way ([`SlotStore`](agentscale_core::SlotStore)), over all instances.
//!
//! [`merge`] joins records that are written in several places; `cache` (feature `cache`) holds what costs something to
//! make, in memory and in Redis, until what it was made of changes.
//!
//! What stands around a store, each a `CheckpointStore` itself:
//!
//! | decorator | feature | what for |
//! |---|---|---|
//! | `CachedCheckpointStore` | `cache` | large states of a store far away, held in memory and never stale; with `redis`, in a Redis behind that too |
//! | `EncryptedCheckpointStore` | `encryption` | stores whose operators, backups or disks are not to know what agents keep |
//! | [`LoggedCheckpointStore`] | | a shared store far away or now and then gone: a log on this machine acknowledges, at *local* |
//!
//! [`sqlite`] holds what other crates build their own files of SQLite on, `postgres` (feature `postgres`) the same for
//! PostgreSQL: a pool that is safe behind PgBouncer, migrations, kinds of errors.

pub mod archive;
mod budget;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "cache")]
mod cached;
mod chain;
mod checkpoint;
mod delta;
#[cfg(feature = "encryption")]
mod encrypted;
mod group;
mod jobs;
mod lease;
mod logged;
mod memory;
pub mod merge;
mod month;
pub mod observations;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
mod redis_link;
mod retention;
#[cfg(feature = "redis")]
mod runs;
#[cfg(feature = "schedules")]
mod schedule;
mod slots;
pub mod sqlite;
mod stores;

#[cfg(feature = "cache")]
pub use cached::{CachedCheckpointStore, CheckpointCacheConfig, CheckpointCacheStats};
#[cfg(feature = "redis")]
pub use cached::{RedisStates, RedisStatesConfig, RedisStatesStats};
pub use checkpoint::stats::CheckpointStats;
#[cfg(feature = "encryption")]
pub use encrypted::{EncryptedCheckpointStore, KeyId, StaticTenantKeys, TenantKey, TenantKeys};
pub use lease::InMemoryLeaseStore;
pub use logged::{
    BlockedThread, LoggedCheckpointConfig, LoggedCheckpointStats, LoggedCheckpointStore, OrphanedTail,
};
pub use memory::InMemoryCheckpointStore;
pub use observations::ObservationLog;
#[cfg(feature = "postgres")]
pub use postgres::budget::PostgresBudgetLedger;
#[cfg(feature = "postgres")]
pub use postgres::checkpoint::{PostgresCheckpointConfig, PostgresCheckpointStore};
#[cfg(feature = "postgres")]
pub use postgres::jobs::{PostgresJobConfig, PostgresJobQueue};
#[cfg(feature = "postgres")]
pub use postgres::lease::PostgresLeaseStore;
#[cfg(feature = "postgres")]
pub use postgres::observations::PostgresObservationStore;
#[cfg(all(feature = "postgres", feature = "schedules"))]
pub use postgres::schedules::PostgresScheduleStore;
#[cfg(feature = "postgres")]
pub use postgres::slots::PostgresSlotStore;
#[cfg(feature = "redis")]
pub use runs::{RedisRunStreams, RedisRunStreamsConfig};
pub use slots::InMemorySlotStore;
pub use sqlite::budget::SqliteBudgetLedger;
pub use sqlite::checkpoint::{SqliteCheckpointConfig, SqliteCheckpointStore};
pub use sqlite::jobs::{SqliteJobConfig, SqliteJobQueue};
pub use sqlite::lease::SqliteLeaseStore;
pub use sqlite::observations::SqliteObservationStore;
#[cfg(feature = "schedules")]
pub use sqlite::schedules::SqliteScheduleStore;
pub use sqlite::slots::SqliteSlotStore;
pub use stores::Stores;

#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../../docs/runs.md")]
struct RunsChapter;

#[doc = include_str!("../../docs/observations.md")]
#[cfg(doctest)]
struct ObservationsChapter;

#[doc = include_str!("../../docs/state.md")]
#[cfg(doctest)]
struct StateChapter;

#[doc = include_str!("../../docs/tiers.md")]
#[cfg(doctest)]
struct TiersChapter;
