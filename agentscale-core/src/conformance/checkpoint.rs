//! The promises of [`CheckpointStore`].
//!
//! Write a [`CheckpointStoreHarness`] for the backend and put
//! `agentscale_core::checkpoint_store_conformance!(harness)` into a test module: it becomes one `#[test]` for each
//! promise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::CheckpointStore;
use crate::checkpoint::StateLimits;
use crate::testkit::TestServer;

pub mod commits;
pub mod journal;
pub mod lines;
pub mod messages;
pub mod outcomes;
pub mod ownership;
pub mod retention;
mod scene;
pub mod state;

/// Opens stores for the suite.
#[async_trait]
pub trait CheckpointStoreHarness: Send + Sync {
    /// An empty store with these limits that prunes nothing unasked. The harness outlives it.
    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore>;

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
pub type CheckpointStoreCase =
    for<'a> fn(&'a dyn CheckpointStoreHarness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the store breaks the promise, and as [`TestServer::url`] does.
pub fn run(harness: &dyn CheckpointStoreHarness, case: CheckpointStoreCase) {
    const LIMIT: Duration = Duration::from_secs(300);
    if harness.server().is_some_and(|server| server.url().is_none()) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("this machine starts runtimes");
    runtime.block_on(async { tokio::time::timeout(LIMIT, case(harness)).await.expect("the test ends") });
}

/// Makes each promise of `CheckpointStore` a `#[test]` over the stores of a [`CheckpointStoreHarness`].
#[macro_export]
macro_rules! checkpoint_store_conformance {
    ($harness:expr) => {
        $crate::checkpoint_store_conformance! { @cases $harness;
            ownership::each_claim_takes_a_higher_epoch
            ownership::a_claim_gives_the_tip
            ownership::a_deleted_thread_keeps_its_epoch
            ownership::an_older_owner_is_fenced
            ownership::an_older_owner_is_fenced_after_delete
            ownership::an_epoch_that_was_never_claimed_is_fenced
            ownership::of_concurrent_claimants_exactly_one_commits
            commits::a_commit_behind_another_version_is_a_conflict
            commits::a_repeated_commit_gives_the_same_answer
            commits::a_commit_reaches_its_level
            commits::a_commit_stands_after_its_barrier
            commits::a_buffered_commit_is_seen
            commits::a_commit_over_its_limit_is_too_large
            commits::a_state_over_its_limit_is_too_large
            commits::commits_of_many_threads_stand
            commits::an_error_of_one_commit_harms_no_other
            state::fields_are_replaced_appended_and_removed
            state::each_version_loads_as_it_was
            state::a_long_line_of_changes_loads
            state::a_checkpoint_carries_its_commit
            outcomes::an_outcome_is_recorded_with_its_commit
            outcomes::an_outcome_may_have_no_reply
            outcomes::a_key_of_another_request_is_a_conflict
            outcomes::an_outcome_ends_with_its_retention
            journal::a_claim_gives_the_journal
            journal::a_journal_ends_with_its_commit
            journal::a_repeated_step_changes_nothing
            journal::a_step_of_another_request_is_a_conflict
            messages::a_message_is_pending_after_its_commit
            messages::a_message_is_settled_by_its_receivers_commit
            messages::a_settled_message_cannot_be_settled_by_another_commit
            messages::messages_are_settled_by_id
            messages::the_outbox_is_listed_by_pages
            messages::attempts_are_counted
            messages::a_buried_message_is_a_dead_letter
            messages::a_settled_message_is_not_buried
            messages::a_dead_letter_is_redriven
            lines::history_is_newest_first
            lines::a_fork_goes_its_own_way
            lines::a_fork_is_refused_by_kind
            lines::threads_are_listed_by_name
            lines::a_deleted_thread_holds_nothing
            lines::tenants_are_apart
            retention::the_newest_checkpoints_stay
            retention::the_tip_stays
            retention::tagged_checkpoints_stay
            retention::old_checkpoints_go
            retention::pruning_keeps_to_its_limit
            retention::all_threads_are_pruned
        }
    };
    (@cases $harness:expr; $($group:ident::$case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::conformance::checkpoint::run(&$harness, |harness| {
                Box::pin($crate::conformance::checkpoint::$group::$case(harness))
            });
        }
    )*};
}
