//! The promises of [`SlotStore`].
//!
//! Write a [`SlotStoreHarness`] for the backend and put `agentscale_core::slot_store_conformance!(harness)` into a test
//! module: it becomes one `#[test]` for each promise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::SlotStore;
use crate::testkit::TestServer;

pub mod members;
mod scene;
pub mod taking;
pub mod turns;

/// Opens stores for the suite.
#[async_trait]
pub trait SlotStoreHarness: Send + Sync {
    /// A store without members. The harness outlives it.
    async fn start(&self) -> Arc<dyn SlotStore>;

    /// Lets so much time pass by the clock of the store: some seconds.
    async fn pass(&self, time: Duration);

    /// The server that the stores are on, if any. Without its URL the tests are left out, which is said.
    fn server(&self) -> Option<TestServer> {
        None
    }
}

/// A test of the suite.
pub type SlotStoreCase = for<'a> fn(&'a dyn SlotStoreHarness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the store breaks the promise, and as [`TestServer::url`] does.
pub fn run(harness: &dyn SlotStoreHarness, case: SlotStoreCase) {
    const LIMIT: Duration = Duration::from_secs(60);
    if harness.server().is_some_and(|server| server.url().is_none()) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("this machine starts runtimes");
    runtime.block_on(async { tokio::time::timeout(LIMIT, case(harness)).await.expect("the test ends") });
}

/// Makes each promise of `SlotStore` a `#[test]` over the stores of a [`SlotStoreHarness`].
#[macro_export]
macro_rules! slot_store_conformance {
    ($harness:expr) => {
        $crate::slot_store_conformance! { @cases $harness;
            taking::slots_are_given_as_far_as_the_limit_goes
            taking::what_is_not_used_goes_back
            taking::under_a_lower_limit_none_are_given_until_there_are_fewer
            taking::under_a_higher_limit_more_are_given_at_once
            taking::accounts_are_apart
            taking::one_exchange_has_a_grant_for_each_line
            taking::a_line_that_makes_no_sense_is_refused_with_all_others
            taking::many_members_at_once_stay_within_the_limit
            members::no_two_members_have_one_epoch
            members::who_never_joined_is_fenced
            members::who_leaves_gives_back_all
            members::the_slots_of_a_member_that_is_not_heard_of_are_free
            members::an_exchange_renews_the_lease
            members::a_stale_member_is_fenced_and_changes_nothing
            members::an_older_exchange_is_a_conflict
            members::an_exchange_says_what_is_so
            members::a_time_out_of_bounds_is_invalid
            turns::members_get_slots_in_turns
            turns::those_who_wait_share_what_is_free
            turns::a_member_that_is_not_heard_of_loses_its_turn
            turns::who_waits_no_more_is_in_nobodys_way
        }
    };
    (@cases $harness:expr; $($group:ident::$case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::conformance::slots::run(&$harness, |harness| {
                Box::pin($crate::conformance::slots::$group::$case(harness))
            });
        }
    )*};
}
