//! The promises of [`LlmProvider`](crate::LlmProvider).
//!
//! Put `agentscale_core::llm_provider_conformance!(provider)` into a test module, with an expression that makes a
//! provider and may await: it becomes one `#[test]` for each promise. `llm_provider_conformance!(run provider)` holds
//! all of them where it stands, one after the other. A promise about something that the provider's
//! capabilities do not name is that asking for it is `unsupported`.

use std::future::Future;
use std::time::Duration;

pub mod answers;
pub mod cancellation;
pub mod capabilities;
pub mod embeddings;
mod scene;
pub mod streams;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the provider breaks the promise, or hangs for five minutes.
pub fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("this machine starts runtimes");
    let limited = async { tokio::time::timeout(Duration::from_secs(300), case).await };
    runtime.block_on(limited).expect("the test ends");
}

/// Makes each promise of `LlmProvider` a `#[test]` over a provider.
#[macro_export]
macro_rules! llm_provider_conformance {
    (run $provider:expr) => {
        $crate::llm_provider_conformance! { @list run $provider }
    };
    ($provider:expr) => {
        $crate::llm_provider_conformance! { @list tests $provider }
    };
    (@list $way:ident $provider:expr) => {
        $crate::llm_provider_conformance! { @cases $way $provider;
            answers::a_question_is_answered_by_the_assistant
            answers::documents_and_earlier_turns_are_taken
            answers::usage_counts_cached_tokens_within_input_tokens
            answers::no_messages_are_invalid_input
            answers::calls_run_side_by_side
            answers::a_pointer_to_a_provider_is_that_provider
            answers::known_models_answer_and_unknown_ones_are_not_found
            streams::a_stream_ends_with_one_finished_event
            streams::the_parts_of_a_stream_make_its_answer
            streams::nothing_comes_behind_the_end
            streams::no_messages_are_no_stream
            cancellation::a_dropped_call_leaves_the_provider_usable
            cancellation::a_dropped_stream_leaves_the_provider_usable
            capabilities::a_demanded_tool_is_called_or_unsupported
            capabilities::a_streamed_tool_call_is_its_fragments_or_unsupported
            capabilities::a_streamed_tool_call_begins_before_its_arguments
            capabilities::results_of_tools_are_taken
            capabilities::words_of_the_assistant_are_gone_on_from
            capabilities::a_schema_gives_json_or_is_unsupported
            capabilities::an_object_is_given_or_unsupported
            capabilities::an_image_is_taken_or_unsupported
            capabilities::no_error_shows_the_prompt
            embeddings::each_text_has_a_vector_or_embedding_is_unsupported
            embeddings::one_text_has_one_vector_in_any_company
            embeddings::no_texts_have_no_vectors
        }
    };
    (@cases run $provider:expr; $($group:ident :: $case:ident)*) => {
        $(
            $crate::conformance::llm::run(async {
                let provider = $provider;
                $crate::conformance::llm::$group::$case(&provider).await;
            });
        )*
    };
    (@cases tests $provider:expr; $($group:ident :: $case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::llm::run(async {
                    let provider = $provider;
                    $crate::conformance::llm::$group::$case(&provider).await;
                });
            }
        )*
    };
}
