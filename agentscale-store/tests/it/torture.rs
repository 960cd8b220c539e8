//! What breaks under a store while agents commit: their process is killed or frozen, servers restart, clocks step, disks
//! are full.
//!
//! `cargo xtask torture state --rounds N` runs many more rounds than the tests do: N kills, a fifth as many freezes and kills
//! over a log, a twentieth as many restarts.

mod clocks;
#[cfg(feature = "postgres")]
mod disk;
pub(crate) mod fleet;
mod freezes;
mod kills;
mod place;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "postgres")]
mod restarts;
#[cfg(feature = "postgres")]
pub(crate) mod server;

use agentscale_core::CheckpointStore;
use agentscale_core::checkpoint::{HistoryRequest, LoadRequest, Version};

use crate::scene::thread;

/// Where `cargo xtask torture state` says how many rounds to run.
const ROUNDS: &str = "AGENTSCALE_TORTURE_ROUNDS";

/// So many rounds in the tests, and under `cargo xtask torture state` one of so many of its own.
pub(crate) fn rounds(few: usize, one_of: usize) -> usize {
    std::env::var(ROUNDS).map_or(few, |rounds| (rounds.parse::<usize>().expect("a number") / one_of).max(1))
}

/// How many items an agent has in its thread, which is whole: an item a version, and one version after the other.
async fn items(store: &impl CheckpointStore, key: &str) -> u64 {
    let Some(tip) = store.load(LoadRequest::tip(thread(key))).await.expect("it is read") else { return 0 };
    let version = tip.info.version.0;
    assert_eq!(tip.fields[0].appended.len() as u64, version, "{key}");
    let mut above = version + 1;
    while above > 1 {
        let below = HistoryRequest::new(thread(key), 500).before(Version(above));
        let page = store.history(below).await.expect("it is read");
        assert!(!page.is_empty(), "{key}: nothing below {above}");
        for info in page {
            above -= 1;
            assert_eq!(info.version.0, above, "{key}: a version is missing or doubled");
        }
    }
    version
}
