//! The promises of [`ScheduleStore`].
//!
//! Write a [`ScheduleStoreHarness`] for the backend and put `agentscale_core::schedule_store_conformance!(harness)` into a
//! test module: it becomes one `#[test]` for each promise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::testkit::TestServer;
use crate::time::SystemClock;
use crate::{Clock, JobQueue, ScheduleStore};

pub mod events;
pub mod firing;
pub mod history;
pub mod listing;
pub mod missing;
pub mod pausing;
pub mod putting;
mod scene;

/// A store of schedules, and the queue that they enqueue into.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The schedules.
    pub schedules: Arc<dyn ScheduleStore>,
    /// Their queue.
    pub jobs: Arc<dyn JobQueue>,
}

/// Opens stores for the suite.
#[async_trait]
pub trait ScheduleStoreHarness: Send + Sync {
    /// A store without schedules on a queue without jobs. The harness outlives it.
    async fn start(&self) -> Scheduled;

    /// Another store on the same schedules, as another process opens it.
    async fn another(&self) -> Scheduled;

    /// Lets so much time pass by the clock of the store; the default waits.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// The clock of the store: microseconds since 1970. The default is the machine's.
    fn unix_micros(&self) -> u64 {
        SystemClock::new().unix_micros()
    }

    /// The server that the stores are on, if any. Without its URL the tests are left out, which is said.
    fn server(&self) -> Option<TestServer> {
        None
    }
}

/// A test of the suite.
pub type ScheduleStoreCase =
    for<'a> fn(&'a dyn ScheduleStoreHarness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the store breaks the promise, and as [`TestServer::url`] does.
pub fn run(harness: &dyn ScheduleStoreHarness, case: ScheduleStoreCase) {
    const LIMIT: Duration = Duration::from_secs(120);
    if harness.server().is_some_and(|server| server.url().is_none()) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("this machine starts runtimes");
    runtime.block_on(async { tokio::time::timeout(LIMIT, case(harness)).await.expect("the test ends") });
}

/// Makes each promise of `ScheduleStore` a `#[test]` over the stores of a [`ScheduleStoreHarness`].
#[macro_export]
macro_rules! schedule_store_conformance {
    ($harness:expr) => {
        $crate::schedule_store_conformance! { @cases $harness;
            putting::a_schedule_is_kept_as_it_was_given
            putting::what_cannot_run_is_refused_by_field
            putting::a_job_that_the_queue_would_refuse_is_refused
            putting::another_version_than_expected_is_a_conflict
            putting::the_same_again_changes_nothing
            putting::another_timing_counts_from_now_and_another_job_keeps_the_time
            putting::revisions_and_epochs_ascend_through_a_deletion
            putting::of_many_that_make_one_schedule_one_does
            listing::schedules_are_listed_by_name_in_pages
            listing::tenants_are_apart
            listing::the_longest_names_are_kept
            firing::a_time_that_has_come_enqueues_its_job
            firing::nothing_fires_before_its_time
            firing::a_single_run_comes_once
            firing::an_interval_comes_again
            firing::of_many_that_tick_one_fires_each_time
            firing::a_tick_that_is_dropped_has_fired_or_not
            firing::a_tick_takes_what_is_due_longest_and_says_that_there_is_more
            firing::a_run_is_left_out_while_the_job_of_the_last_one_has_not_ended
            firing::a_deleted_schedule_fires_no_more
            missing::times_that_passed_become_one_job
            missing::times_that_passed_are_made_up_for_one_by_one
            missing::a_late_run_is_skipped_where_it_is_to_be
            missing::a_late_run_is_counted
            pausing::a_paused_schedule_stands_still_and_goes_on_after_now
            pausing::what_is_not_there_is_neither_paused_nor_resumed
            events::an_event_enqueues_what_waits_for_it
            events::an_event_that_comes_again_enqueues_nothing
            events::a_payload_of_its_own_goes_before_that_of_the_event
            events::who_stands_still_misses_events
            events::topics_are_named_once
            events::too_many_events_are_refused
            history::what_a_schedule_did_is_read_page_by_page
            history::maintenance_leaves_what_is_new
        }
    };
    (@cases $harness:expr; $($group:ident::$case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::conformance::schedule::run(&$harness, |harness| {
                Box::pin($crate::conformance::schedule::$group::$case(harness))
            });
        }
    )*};
}
