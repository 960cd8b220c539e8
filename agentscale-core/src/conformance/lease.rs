//! The promises of [`LeaseStore`].
//!
//! Write a [`LeaseStoreHarness`] for the backend and put `agentscale_core::lease_store_conformance!(harness)` into a test
//! module: it becomes one `#[test]` for each promise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::LeaseStore;
use crate::testkit::TestServer;

pub mod acquiring;
pub mod ending;
pub mod names;
mod scene;

/// Opens stores for the suite.
#[async_trait]
pub trait LeaseStoreHarness: Send + Sync {
    /// A store without leases. The harness outlives it.
    async fn start(&self) -> Arc<dyn LeaseStore>;

    /// Lets so much time pass by the clock of the store; the default waits.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// The server that the stores are on, if any. Without its URL the tests are left out, which is said.
    fn server(&self) -> Option<TestServer> {
        None
    }
}

/// A test of the suite.
pub type LeaseStoreCase = for<'a> fn(&'a dyn LeaseStoreHarness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the store breaks the promise, and as [`TestServer::url`] does.
pub fn run(harness: &dyn LeaseStoreHarness, case: LeaseStoreCase) {
    const LIMIT: Duration = Duration::from_secs(60);
    if harness.server().is_some_and(|server| server.url().is_none()) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("this machine starts runtimes");
    runtime.block_on(async { tokio::time::timeout(LIMIT, case(harness)).await.expect("the test ends") });
}

/// Makes each promise of `LeaseStore` a `#[test]` over the stores of a [`LeaseStoreHarness`].
#[macro_export]
macro_rules! lease_store_conformance {
    ($harness:expr) => {
        $crate::lease_store_conformance! { @cases $harness;
            acquiring::a_free_lease_is_granted_for_its_time
            acquiring::who_is_refused_learns_who_holds_it_and_since_when
            acquiring::the_name_of_the_holder_opens_nothing
            acquiring::a_repeated_acquisition_gives_the_same_grant
            acquiring::an_id_whose_grant_has_ended_is_fenced
            acquiring::of_concurrent_acquisitions_exactly_one_is_granted
            acquiring::a_time_out_of_bounds_is_invalid
            ending::a_released_lease_is_free_at_once
            ending::a_lease_ends_with_its_time
            ending::a_renewed_lease_lasts
            ending::each_grant_takes_a_higher_epoch
            ending::an_ended_lease_cannot_be_renewed
            ending::an_older_epoch_changes_nothing
            ending::a_release_can_be_repeated
            names::who_holds_it_can_be_read
            names::tenants_kinds_and_names_are_apart
            names::the_longest_names_are_kept
        }
    };
    (@cases $harness:expr; $($group:ident::$case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::conformance::lease::run(&$harness, |harness| {
                Box::pin($crate::conformance::lease::$group::$case(harness))
            });
        }
    )*};
}
