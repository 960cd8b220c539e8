//! The leases of a bundle of stores.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::{ErrorKind, LeaseStore};
use agentscale_store::{InMemoryCheckpointStore, SqliteLeaseStore, Stores};

use super::scene::request;

const LONG: Duration = Duration::from_secs(3_600);

/// One holder at a time through all that ask the bundle.
async fn exclude(stores: &Stores) {
    let first = stores.leases().await.expect("there are leases");
    let second = stores.clone().leases().await.expect("there are leases");
    first.acquire(request("alice", LONG)).await.expect("nobody holds it");
    let refused = second.acquire(request("bob", LONG)).await.expect_err("alice holds it");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_bundle_in_a_folder_leases_in_a_file_of_its_own_which_closes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::sqlite(folder.path()).await.unwrap();
    assert!(!folder.path().join("leases.db").exists());
    exclude(&stores).await;
    let leases = stores.leases().await.unwrap();
    stores.close().await.unwrap();
    assert_eq!(leases.acquire(request("bob", LONG)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let file = SqliteLeaseStore::open(folder.path().join("leases.db")).await.unwrap();
    assert_eq!(file.acquire(request("bob", LONG)).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_bundle_in_memory_leases_and_one_around_a_hosts_own_store_does_not() {
    exclude(&Stores::in_memory()).await;
    let own = Stores::with_checkpoints(Arc::new(InMemoryCheckpointStore::new()));
    assert_eq!(own.leases().await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
#[cfg(feature = "postgres")]
async fn a_bundle_on_postgres_leases_there() {
    use agentscale_core::lease::{AcquireRequest, LeaseKey};
    use agentscale_core::testkit::TestServer;

    let Some(url) = TestServer::Postgres.url() else { return };
    // The bundle's schema is a fixed one: the name is another at each run.
    let name = uuid::Uuid::now_v7().simple().to_string();
    let key = LeaseKey::new(&"acme".try_into().unwrap(), "deployment", &name).unwrap();
    let ask = |holder: &str| AcquireRequest::new(key.clone(), holder.try_into().unwrap(), LONG);
    let (here, there) = (Stores::postgres(&url).await.unwrap(), Stores::postgres(&url).await.unwrap());
    here.leases().await.unwrap().acquire(ask("alice")).await.unwrap();
    let refused = there.leases().await.unwrap().acquire(ask("bob")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.context("holder")), (ErrorKind::Conflict, Some("alice")));
    here.close().await.unwrap();
    there.close().await.unwrap();
}
