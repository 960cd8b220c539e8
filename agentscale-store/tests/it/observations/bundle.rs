use std::sync::Arc;

use agentscale_core::observe::{Observation, ObservationLevel, Observer as _};
use agentscale_core::{ErrorKind, HybridClock, Tenant};
use agentscale_store::observations::ObservationQuery;
use agentscale_store::{InMemoryCheckpointStore, Stores};

/// Kept under the clock of this machine, for a tenant of this run.
async fn keep(stores: &Stores) {
    let name = uuid::Uuid::now_v7().simple().to_string();
    let tenant = Tenant::new(name).expect("a name");
    let log = stores.observations().await.expect("there is a log");
    let stamp = HybridClock::new(1).stamp(u64::try_from(now_micros()).expect("it is after 1970"));
    let told = Observation::new(ObservationLevel::Info, "kept", stamp).with_tenant(tenant.clone());
    log.emit(told.clone());
    let again = stores.clone().observations().await.expect("there is a log");
    again.flush().await.expect("it is written");
    let page = again.query(&ObservationQuery::of(tenant)).await.expect("it is read");
    assert_eq!(page.observations, [told]);
}

fn now_micros() -> u128 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970").as_micros()
}

#[tokio::test]
async fn a_bundle_in_a_folder_keeps_observations_in_a_file_of_its_own_which_closes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::sqlite(folder.path()).await.unwrap();
    assert!(!folder.path().join("observations.db").exists());
    keep(&stores).await;
    let log = stores.observations().await.unwrap();
    stores.close().await.unwrap();
    assert_eq!(log.flush().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(folder.path().join("observations.db").exists());
}

#[tokio::test]
async fn a_bundle_of_another_kind_has_no_log() {
    for stores in [Stores::in_memory(), Stores::with_checkpoints(Arc::new(InMemoryCheckpointStore::new()))] {
        assert_eq!(stores.observations().await.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[tokio::test]
#[cfg(feature = "postgres")]
async fn a_bundle_on_postgres_keeps_observations_there() {
    let Some(url) = agentscale_core::testkit::TestServer::Postgres.url() else { return };
    let stores = Stores::postgres(&url).await.unwrap();
    keep(&stores).await;
    stores.close().await.unwrap();
}
