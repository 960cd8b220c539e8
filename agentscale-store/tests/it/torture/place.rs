//! Where agents of another process commit. The other process is this test binary itself.

use std::process::Child;

use agentscale_core::CheckpointStore;
#[cfg(feature = "postgres")]
use agentscale_core::testkit::TestServer;
use agentscale_store::SqliteCheckpointConfig;
use tempfile::TempDir;

#[cfg(feature = "postgres")]
use crate::postgres::Scene;
use crate::processes::{commit_until_refused, named_file, start};
use crate::scene::open_with;
use std::sync::Arc;
use std::time::Duration;

pub(super) const AGENTS: usize = 4;

/// A database of a test's own.
pub(super) enum Place {
    File(TempDir),
    #[cfg(feature = "postgres")]
    Server(Scene),
}

impl Place {
    /// One of each kind that there is.
    pub(super) fn all() -> Vec<Self> {
        let file = Self::File(tempfile::tempdir().expect("a folder is made"));
        #[cfg(feature = "postgres")]
        let servers = [TestServer::Postgres, TestServer::PgBouncer].into_iter().filter_map(Scene::new);
        #[cfg(not(feature = "postgres"))]
        let servers = std::iter::empty();
        #[cfg(feature = "postgres")]
        let servers = servers.map(Self::Server);
        std::iter::once(file).chain(servers).collect()
    }

    /// A store of this process, which waits for locks of another only briefly.
    pub(super) async fn open(&self) -> Arc<dyn CheckpointStore> {
        let patience = Duration::from_millis(100);
        match self {
            Self::File(folder) => {
                let mut config = SqliteCheckpointConfig::default();
                config.file.busy_timeout = patience;
                Arc::new(open_with(&folder.path().join("checkpoints.db"), config).await)
            }
            #[cfg(feature = "postgres")]
            Self::Server(scene) => {
                let mut config = scene.config();
                config.database.lock_timeout = patience;
                Arc::new(scene.open_with(config).await)
            }
        }
    }

    /// Starts a process that commits here until it is refused or ended.
    pub(super) fn child(&self) -> Child {
        let place = match self {
            Self::File(folder) => folder.path().join("checkpoints.db").display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Server(scene) => format!("{} {}", scene.schema, scene.url),
        };
        start("torture::place::child_that_commits", place)
    }
}

/// Not a test of its own: what the other process runs.
#[tokio::test]
async fn child_that_commits() {
    let Some(place) = named_file() else { return };
    #[cfg(feature = "postgres")]
    if let Some((schema, url)) = place.split_once(' ') {
        let scene = Scene::of_another(url, schema);
        commit_until_refused(&scene.open().await, AGENTS).await;
        // The schema is its maker's to drop.
        std::mem::forget(scene);
        return;
    }
    let store = open_with(place.as_ref(), SqliteCheckpointConfig::default()).await;
    commit_until_refused(&store, AGENTS).await;
}
