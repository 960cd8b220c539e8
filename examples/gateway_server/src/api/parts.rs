use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use agentscale::core::Result;
use agentscale::core::llm::{CompletionEvent, CompletionStream};
use futures::Stream;
use tokio::task::JoinHandle;

/// The parts of an answer, until it ends. Then they are dropped, and with them the call at the provider, also where the
/// client takes nothing and so nobody asks for the next one.
#[derive(Debug)]
pub(super) struct Parts {
    stream: Arc<Mutex<Option<CompletionStream>>>,
    end: JoinHandle<()>,
}

impl Parts {
    pub(super) fn new(stream: CompletionStream, end: impl Future<Output = ()> + Send + 'static) -> Self {
        let stream = Arc::new(Mutex::new(Some(stream)));
        let ended = Arc::clone(&stream);
        let end = tokio::spawn(async move {
            end.await;
            drop(ended.lock().unwrap_or_else(PoisonError::into_inner).take());
        });
        Self { stream, end }
    }

    /// The next part; never comes once they have ended.
    pub(super) async fn next(&self) -> Option<Result<CompletionEvent>> {
        poll_fn(|context| {
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            stream.as_mut().map_or(Poll::Pending, |stream| Pin::new(stream).poll_next(context))
        })
        .await
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.end.abort();
        // At once: the task may hold it until it is looked at, and what was used be counted behind the last settlement.
        drop(self.stream.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
