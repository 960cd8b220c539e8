//! The promises of [`KnowledgeClient`].
//!
//! Write a [`KnowledgeHarness`] for the backend and put `agentscale_core::knowledge_conformance!(harness)` into a test
//! module: it becomes one `#[test]` for each promise.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::KnowledgeClient;

pub mod entries;
pub mod filters;
pub mod finding;
pub mod pages;
mod scene;
pub mod tenants;

/// Starts clients for the suite.
#[async_trait]
pub trait KnowledgeHarness: Send + Sync {
    /// An empty client that nobody else uses.
    async fn start(&self) -> KnowledgeUnderTest;
}

/// A client, and what must live as long.
pub struct KnowledgeUnderTest {
    /// The client.
    pub client: Arc<dyn KnowledgeClient>,
    /// A folder, a server: dropped behind the client.
    pub keep: Box<dyn Any + Send>,
}

impl fmt::Debug for KnowledgeUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnowledgeUnderTest").field("client", &self.client).finish_non_exhaustive()
    }
}

/// A test of the suite.
pub type KnowledgeCase = for<'a> fn(&'a dyn KnowledgeHarness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the client breaks the promise.
pub fn run(harness: &dyn KnowledgeHarness, case: KnowledgeCase) {
    const LIMIT: Duration = Duration::from_secs(300);
    let runtime = tokio::runtime::Runtime::new().expect("this machine starts runtimes");
    runtime.block_on(async { tokio::time::timeout(LIMIT, case(harness)).await.expect("the test ends") });
}

/// Makes each promise of `KnowledgeClient` a `#[test]` over the clients of a [`KnowledgeHarness`].
#[macro_export]
macro_rules! knowledge_conformance {
    ($harness:expr) => {
        $crate::knowledge_conformance! { @cases $harness;
            entries::what_was_put_is_gotten_with_its_text_and_metadata
            entries::an_id_that_exists_gets_a_new_version
            entries::a_batch_is_put_as_a_whole_or_not_at_all
            entries::a_text_over_the_limit_is_too_large
            entries::what_does_not_exist_is_none
            entries::a_history_has_the_versions_newest_first
            entries::a_deleted_entry_leaves_nothing_behind
            entries::unknown_ids_are_passed_over_by_delete
            entries::puts_of_one_id_at_once_each_make_a_version
            entries::a_dropped_put_is_done_as_a_whole_or_not_at_all
            finding::the_most_alike_come_first
            finding::what_was_put_is_found_at_once_by_a_strong_query
            finding::a_new_version_takes_the_place_of_the_old
            finding::as_many_come_back_as_fit_and_were_asked_for
            finding::a_filter_that_few_fit_still_gives_as_many_as_asked_for
            finding::words_find_the_texts_that_have_them
            finding::a_text_is_never_read_as_syntax
            finding::a_vector_of_another_length_is_invalid
            finding::an_earlier_time_sees_the_versions_of_then
            filters::a_filter_means_what_fits_says
            filters::a_filter_of_many_parts_works
            pages::a_scan_gives_every_entry_once_in_the_order_of_ids
            pages::a_scan_gives_vectors_where_they_are_asked_for
            pages::a_scan_gives_what_fits_its_filter
            pages::the_pages_of_a_query_have_every_entry_once
            pages::a_cursor_of_another_query_is_invalid
            tenants::no_request_sees_or_changes_another_tenants_entries
        }
    };
    (@cases $harness:expr; $($file:ident::$case:ident)*) => {$(
        #[test]
        fn $case() {
            use $crate::conformance::knowledge::{$file, run};
            run(&$harness, |harness| Box::pin($file::$case(harness)));
        }
    )*};
}
