use std::sync::Arc;
use std::time::Duration;

use agentscale_core::llm::{
    CompletionEvent, CompletionRequest, CompletionStream, LlmProvider, Message, PartialAnswer, Usage,
};
use agentscale_core::{Error, ErrorKind, Result};
use futures::stream;
use tokio::time::timeout;

use super::Shared;
use super::call::{Attempt, Call};
use super::health::Awaited;
use crate::tokens::estimate_tokens;

/// An answer on its way of which a part has come, and the place that it holds on a key.
struct Relay {
    call: Call,
    /// What has come and was not given on yet; in a box, for a stream has room for it as long as it is open.
    first: Option<Box<CompletionEvent>>,
    /// `None` behind the end.
    running: Option<(CompletionStream, Attempt)>,
    /// The text that was given on.
    shown: String,
    max_silence: Duration,
}

/// Begins a stream. Until its first part has come, another provider can begin anew: it is given on then.
pub(super) async fn open(shared: &Arc<Shared>, mut request: CompletionRequest) -> Result<CompletionStream> {
    let mut call = Call::to_answer(shared, &request, Awaited::FirstPart)?;
    loop {
        let max_silence = call.max_silence();
        let answered = call.answered(|to| {
            let request = to.request(&mut request);
            Box::pin(begin(to.provider, request, max_silence))
        });
        match answered.await {
            Ok(((first, events), attempt)) => return Ok(relay(call, first, events, attempt)),
            Err(error) => call = call.taken_over(&mut request, error)?,
        }
    }
}

/// The first part of an answer, and what comes behind it.
async fn begin(
    provider: Arc<dyn LlmProvider>,
    request: CompletionRequest,
    max_silence: Duration,
) -> Result<(CompletionEvent, CompletionStream)> {
    let first = async {
        let mut events = provider.stream(request).await?;
        let first = events.next().await;
        Ok((first.unwrap_or_else(|| Err(silent(ErrorKind::Unavailable)))?, events))
    };
    timeout(max_silence, first).await.unwrap_or_else(|_| Err(silent(ErrorKind::DeadlineExceeded)))
}

fn silent(kind: ErrorKind) -> Error {
    Error::new(kind, "wait for a part of an answer")
}

fn relay(call: Call, first: CompletionEvent, events: CompletionStream, attempt: Attempt) -> CompletionStream {
    let limits = events.rate_limits().clone();
    attempt.reservation.hear(&limits);
    if !matches!(first, CompletionEvent::Finished(_)) {
        call.tell_first_part(&attempt);
    }
    let max_silence = call.max_silence();
    let running = Some((events, attempt));
    let relay = Relay { call, first: Some(Box::new(first)), running, shown: String::new(), max_silence };
    let relayed = CompletionStream::new(stream::unfold(relay, |mut relay| async move {
        let item = relay.next().await?;
        Some((item, relay))
    }));
    relayed.with_rate_limits(limits)
}

impl Relay {
    async fn next(&mut self) -> Option<Result<CompletionEvent>> {
        let (events, attempt) = self.running.as_mut()?;
        let item = match self.first.take() {
            Some(first) => Ok(*first),
            None => match timeout(self.max_silence, events.next()).await {
                Ok(item) => item?,
                Err(_) => Err(stalled(&self.shown)),
            },
        };
        match &item {
            Ok(CompletionEvent::Finished(completion)) => {
                let (_, attempt) = self.running.take()?;
                self.call.settle(attempt, &completion.model, completion.usage);
            }
            Ok(event) => {
                attempt.reservation.count_output(tokens_of(event));
                if let CompletionEvent::Text(text) = event {
                    self.shown.push_str(text);
                }
            }
            // What was shown cannot be taken back: the error says what had come.
            Err(error) => {
                let (_, attempt) = self.running.take()?;
                self.call.break_off(attempt, error);
            }
        }
        Some(item)
    }
}

/// A stream that stands still, with what had come of it.
fn stalled(shown: &str) -> Error {
    let came = PartialAnswer::new(Message::assistant(shown), Usage::default(), "");
    came.behind(silent(ErrorKind::DeadlineExceeded))
}

fn tokens_of(event: &CompletionEvent) -> u64 {
    match event {
        CompletionEvent::Text(text) | CompletionEvent::Reasoning(text) => estimate_tokens(text),
        CompletionEvent::ToolArguments { fragment, .. } => estimate_tokens(fragment),
        _ => 0,
    }
}
