//! Where jobs stand that workers of other processes run. The other process is this test binary itself.

use std::process::Child;
use std::sync::Arc;

use agentscale_core::JobQueue;
#[cfg(feature = "postgres")]
use agentscale_core::testkit::TestServer;
use agentscale_store::SqliteJobQueue;
use tempfile::TempDir;

#[cfg(feature = "postgres")]
use crate::postgres::{Scene, jobs};
use crate::processes::{named_file, start};

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

    pub(super) async fn open(&self) -> Arc<dyn JobQueue> {
        match self {
            Self::File(folder) => open_file(&folder.path().join("queue.db").display().to_string()).await,
            #[cfg(feature = "postgres")]
            Self::Server(scene) => Arc::new(jobs::open(scene).await),
        }
    }

    /// Starts a process that works here until it is ended.
    pub(super) fn worker(&self) -> Child {
        let place = match self {
            Self::File(folder) => folder.path().join("queue.db").display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Server(scene) => format!("{} {}", scene.schema, scene.url),
        };
        start("queues::place::child_that_works", place)
    }
}

async fn open_file(path: &str) -> Arc<dyn JobQueue> {
    Arc::new(SqliteJobQueue::open(path).await.expect("the queue opens"))
}

/// Not a test of its own: what the other process runs.
#[tokio::test]
async fn child_that_works() {
    let Some(place) = named_file() else { return };
    #[cfg(feature = "postgres")]
    if let Some((schema, url)) = place.split_once(' ') {
        let scene = Scene::of_another(url, schema);
        super::worker::work(Arc::new(jobs::open(&scene).await)).await;
        // The schema is its maker's to drop.
        std::mem::forget(scene);
        return;
    }
    super::worker::work(open_file(&place).await).await;
}
