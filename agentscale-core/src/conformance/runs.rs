//! The promises of [`RunStreams`].
//!
//! Write a [`RunStreamsHarness`] for the backend and put `agentscale_core::run_streams_conformance!(harness)` into a test
//! module: it becomes one `#[test]` for each promise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::RunStreams;
use crate::runs::RunStreamLimits;
use crate::testkit::TestServer;

pub mod bounds;
pub mod owners;
pub mod reading;
mod scene;
pub mod writing;

/// Opens streams for the suite.
#[async_trait]
pub trait RunStreamsHarness: Send + Sync {
    /// Streams within these limits, none of which has begun. The harness outlives them.
    async fn start(&self, limits: RunStreamLimits) -> Arc<dyn RunStreams>;

    /// Lets so much time pass by the clock of the streams; the default waits.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Whether the tests run on a paused tokio clock.
    fn paused(&self) -> bool {
        false
    }

    /// The server that the streams are on, if any. Without its URL the tests are left out, which is said.
    fn server(&self) -> Option<TestServer> {
        None
    }
}

/// A test of the suite.
pub type RunStreamsCase = for<'a> fn(&'a dyn RunStreamsHarness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the streams break the promise, and as [`TestServer::url`] does.
pub fn run(harness: &dyn RunStreamsHarness, case: RunStreamsCase) {
    const LIMIT: Duration = Duration::from_secs(3_600);
    if harness.server().is_some_and(|server| server.url().is_none()) {
        return;
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(harness.paused()).build();
    let runtime = runtime.expect("this machine starts runtimes");
    runtime.block_on(async { tokio::time::timeout(LIMIT, case(harness)).await.expect("the test ends") });
}

/// Makes each promise of `RunStreams` a `#[test]` over the streams of a [`RunStreamsHarness`].
#[macro_export]
macro_rules! run_streams_conformance {
    ($harness:expr) => {
        $crate::run_streams_conformance! { @cases $harness;
            writing::events_come_back_as_they_were_appended
            writing::a_repeated_append_adds_nothing
            writing::an_event_over_its_limit_is_refused_with_all_of_its_append
            writing::numbers_out_of_bounds_are_invalid
            writing::nothing_is_appended_behind_the_end
            owners::an_older_owner_is_refused_and_told
            owners::ids_rise_over_owners
            owners::an_owner_that_opens_again_goes_on
            owners::a_stream_that_ended_goes_on_with_a_later_owner
            owners::an_append_under_a_newer_epoch_opens
            reading::a_reader_resumes_behind_the_last_event_that_it_saw
            reading::a_page_holds_at_most_its_limit
            reading::a_reader_waits_for_the_next_event
            reading::a_reader_waits_for_a_stream_to_begin
            reading::a_wait_ends_though_nothing_came
            reading::a_dropped_reader_takes_nothing_from_others
            reading::an_id_from_the_future_is_invalid
            reading::who_has_read_the_end_waits_for_nothing
            reading::a_follower_sees_a_run_from_its_beginning_to_its_end
            reading::tenants_agents_and_turns_are_apart
            bounds::the_oldest_events_make_room_and_readers_learn_of_it
            bounds::the_oldest_bytes_make_room_and_readers_learn_of_it
            bounds::events_that_were_never_appended_are_a_gap
            bounds::a_stream_ends_with_its_time
            bounds::renewals_and_appends_keep_a_stream
            bounds::an_owner_whose_stream_is_gone_goes_on_and_readers_learn_of_it
        }
    };
    (@cases $harness:expr; $($group:ident::$case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::conformance::runs::run(&$harness, |harness| {
                Box::pin($crate::conformance::runs::$group::$case(harness))
            });
        }
    )*};
}
