//! Calls that their caller gives up.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::scene::question;
use crate::llm::LlmProvider;

/// How often calls are given up before the next one must be answered: enough to use up small pools.
const ROUNDS: usize = 20;

/// Calls dropped after their first poll take nothing away from later ones.
pub async fn a_dropped_call_leaves_the_provider_usable<P: LlmProvider>(provider: &P) {
    for _ in 0..ROUNDS {
        let mut call = pin!(provider.complete(question()));
        poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await;
    }
    provider.complete(question()).await.expect("an answer");
}

/// Streams dropped before or behind their first part take nothing away from later calls.
pub async fn a_dropped_stream_leaves_the_provider_usable<P: LlmProvider>(provider: &P) {
    for round in 0..ROUNDS {
        let mut stream = provider.stream(question()).await.expect("a stream");
        if round % 2 == 0 {
            stream.next().await.expect("an event").expect("no error");
        }
    }
    provider.complete(question()).await.expect("an answer");
}
