//! The promises of [`JobQueue`].
//!
//! Write a [`JobQueueHarness`] for the backend and put `agentscale_core::job_queue_conformance!(harness)` into a test
//! module: it becomes one `#[test]` for each promise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::JobQueue;
use crate::testkit::TestServer;

pub mod cancelling;
pub mod claiming;
pub mod ending;
pub mod enqueueing;
pub mod input;
pub mod keys;
pub mod letters;
pub mod running;
mod scene;
pub mod waking;

/// Opens queues for the suite.
#[async_trait]
pub trait JobQueueHarness: Send + Sync {
    /// A store without jobs. The harness outlives it.
    async fn start(&self) -> Arc<dyn JobQueue>;

    /// Another store on the same jobs, as another process opens it.
    async fn another(&self) -> Arc<dyn JobQueue>;

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
pub type JobQueueCase = for<'a> fn(&'a dyn JobQueueHarness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the store breaks the promise, and as [`TestServer::url`] does.
pub fn run(harness: &dyn JobQueueHarness, case: JobQueueCase) {
    const LIMIT: Duration = Duration::from_secs(120);
    if harness.server().is_some_and(|server| server.url().is_none()) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("this machine starts runtimes");
    runtime.block_on(async { tokio::time::timeout(LIMIT, case(harness)).await.expect("the test ends") });
}

/// Makes each promise of `JobQueue` a `#[test]` over the queues of a [`JobQueueHarness`].
#[macro_export]
macro_rules! job_queue_conformance {
    ($harness:expr) => {
        $crate::job_queue_conformance! { @cases $harness;
            enqueueing::a_job_is_claimed_as_it_was_enqueued
            enqueueing::the_plainest_and_the_longest_are_kept
            enqueueing::a_repeated_enqueue_adds_nothing
            enqueueing::an_id_with_other_content_is_a_conflict
            enqueueing::all_are_added_or_none
            enqueueing::a_list_is_answered_in_its_order
            enqueueing::of_concurrent_enqueues_of_one_job_one_adds_it
            enqueueing::a_delayed_job_waits_for_its_time
            enqueueing::a_job_waits_for_its_moment
            enqueueing::tenants_are_apart
            claiming::the_urgent_and_the_old_go_first
            claiming::the_oldest_gets_its_share_of_a_large_claim
            claiming::the_oldest_gets_its_share_of_small_claims
            claiming::a_claim_is_bounded
            claiming::concurrent_claims_are_disjoint
            claiming::queues_are_apart
            claiming::each_run_takes_a_higher_epoch
            claiming::an_id_that_is_used_again_keeps_old_runs_out
            running::a_run_lives_by_its_heartbeats
            running::a_lost_run_is_taken_over_and_its_worker_told
            running::a_late_heartbeat_gives_no_time
            running::a_run_that_no_heartbeat_names_is_lost
            running::a_heartbeat_tells_what_is_not_under_way
            running::a_job_that_kills_its_worker_ends_in_the_dead_letters
            ending::a_completed_job_is_gone
            ending::each_finish_is_judged_alone
            ending::a_run_ends_once
            ending::of_concurrent_finishes_of_a_run_one_counts
            ending::a_failed_attempt_is_repeated_after_its_wait
            ending::a_snooze_uses_no_attempt
            ending::a_released_job_is_ready_at_once
            ending::a_failed_attempt_can_be_repeated_at_once
            letters::the_last_failed_attempt_makes_a_dead_letter
            letters::a_worker_can_end_a_job_for_ever
            letters::dead_letters_are_listed_in_pages
            letters::a_redriven_job_has_all_its_attempts_again
            letters::a_discarded_job_is_gone
            cancelling::a_job_that_waits_is_cancelled_at_once
            cancelling::a_running_job_is_cancelled_by_its_worker
            cancelling::a_job_that_was_to_be_cancelled_does_not_run_again
            cancelling::a_run_that_completes_was_not_cancelled
            cancelling::a_dead_job_stays_dead
            keys::a_unique_job_is_alone_until_it_has_ended
            keys::a_unique_job_is_alone_until_it_has_begun
            keys::unique_keys_belong_to_tenants
            keys::a_redriven_job_holds_no_unique_key
            keys::an_idempotent_job_has_one_outcome
            keys::a_key_with_other_content_is_a_conflict
            keys::a_bad_end_is_an_outcome
            keys::an_outcome_is_kept_for_its_time
            keys::maintenance_removes_old_outcomes_alone
            waking::what_is_ready_is_found_at_once
            waking::a_wait_for_nothing_ends
            waking::an_enqueue_wakes_who_waits
            waking::what_is_ready_again_wakes_who_waits
            waking::a_queue_is_counted
            input::a_bad_job_is_refused
            input::the_largest_job_is_kept
            input::a_bad_claim_is_refused
            input::the_unknown_is_not_found
            input::a_bad_finish_leaves_the_run_under_way
            input::the_longest_keys_are_told_apart
        }
    };
    (@cases $harness:expr; $($group:ident::$case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::conformance::jobs::run(&$harness, |harness| {
                Box::pin($crate::conformance::jobs::$group::$case(harness))
            });
        }
    )*};
}
