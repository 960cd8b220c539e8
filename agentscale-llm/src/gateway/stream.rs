use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use agentscale_core::llm::{
    Completion, CompletionEvent, CompletionRequest, CompletionStream, LlmProvider, Message, PartialAnswer,
    RateLimits, Usage,
};
use agentscale_core::{Error, ErrorKind, Result};
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::Shared;
use super::call::{Attempt, Call, To};
use super::health::Awaited;
use crate::tokens::estimate_tokens;
use shown::Shown;

mod shown;

/// An answer on its way of which a part has come, and the place that it holds on a key.
struct Relay {
    call: Call,
    /// What has come and was not given on yet; in a box, for a stream has room for it as long as it is open.
    first: Option<Box<CompletionEvent>>,
    /// `None` behind the end.
    running: Option<(CompletionStream, Attempt)>,
    shown: Shown,
    /// What was asked, where the answer may go on elsewhere.
    asked: Option<Box<CompletionRequest>>,
    max_silence: Duration,
    /// Ends when it has been silent for too long; set anew with each wait.
    silence: Option<Pin<Box<Sleep>>>,
}

/// Begins a stream. Until its first part has come, another provider can begin anew: it is given on then.
pub(super) async fn open(shared: &Arc<Shared>, mut request: CompletionRequest) -> Result<CompletionStream> {
    let mut call = Call::to_answer(shared, &request, Awaited::FirstPart)?;
    loop {
        let max_silence = call.max_silence();
        let continues = call.may_continue(&request);
        let answered = call.answered(|to| {
            let to = if continues { to.keeping_the_request() } else { to };
            let request = to.request(&mut request);
            Box::pin(begin(to.provider, request, max_silence))
        });
        match answered.await {
            Ok(((first, events), attempt)) => {
                let asked = continues.then(|| Box::new(request));
                return Ok(relay(call, asked, first, events, attempt));
            }
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

fn relay(
    call: Call,
    asked: Option<Box<CompletionRequest>>,
    first: CompletionEvent,
    events: CompletionStream,
    attempt: Attempt,
) -> CompletionStream {
    let limits = events.rate_limits().clone();
    let max_silence = call.max_silence();
    let shown = Shown::default();
    let mut relay = Relay { call, first: None, running: None, shown, asked, max_silence, silence: None };
    relay.begin(first, events, attempt);
    let relayed = CompletionStream::new(stream::unfold(relay, |mut relay| async move {
        let item = relay.next().await?;
        Some((item, relay))
    }));
    relayed.with_rate_limits(limits)
}

impl Relay {
    /// An attempt whose first part has come.
    fn begin(&mut self, first: CompletionEvent, events: CompletionStream, attempt: Attempt) {
        attempt.reservation.hear(events.rate_limits());
        if !matches!(first, CompletionEvent::Finished(_)) {
            self.call.tell_first_part(&attempt);
        }
        self.first = Some(Box::new(first));
        // Who reads the stream was given them.
        self.running = Some((events.with_rate_limits(RateLimits::default()), attempt));
    }

    async fn next(&mut self) -> Option<Result<CompletionEvent>> {
        loop {
            let error = match self.part().await? {
                Ok(CompletionEvent::Finished(completion)) => {
                    let (_, attempt) = self.running.take()?;
                    self.call.settle(attempt, &completion.model, completion.usage);
                    return Some(Ok(CompletionEvent::Finished(self.whole(completion))));
                }
                Ok(event) => {
                    let (_, attempt) = self.running.as_mut()?;
                    attempt.reservation.count_output(tokens_of(&event));
                    let shown = self.shown.next(event);
                    if !self.shown.may_go_on() {
                        self.asked = None;
                    }
                    match shown {
                        Some(event) => return Some(Ok(event)),
                        None => continue,
                    }
                }
                Err(error) => error,
            };
            let (_, attempt) = self.running.take()?;
            // In a box of its own: streams that end well have no room for it.
            if let Err(error) = Box::pin(self.go_on(attempt, error)).await {
                self.call.tell_failed(&error);
                return Some(Err(error));
            }
        }
    }

    /// What comes next of the attempt under way.
    async fn part(&mut self) -> Option<Result<CompletionEvent>> {
        let (events, _) = self.running.as_mut()?;
        if let Some(first) = self.first.take() {
            return Some(Ok(*first));
        }
        let (max_silence, silence, shown) = (self.max_silence, &mut self.silence, &self.shown);
        let mut waits = false;
        poll_fn(|context| {
            if let Poll::Ready(next) = events.poll_next_unpin(context) {
                return Poll::Ready(next);
            }
            let silence = match silence {
                Some(silence) => {
                    if !waits {
                        silence.as_mut().reset(Instant::now() + max_silence);
                    }
                    silence
                }
                None => silence.insert(Box::pin(sleep(max_silence))),
            };
            waits = true;
            silence.as_mut().poll(context).map(|()| Some(Err(stalled(shown))))
        })
        .await
    }

    /// What was shown cannot be taken back: where no other attempt can go on from it, the error says what had come.
    async fn go_on(&mut self, attempt: Attempt, error: Error) -> Result<()> {
        let may_go_on = self.call.break_off(attempt, &error);
        let error = self.shown.behind(error, self.call.spent());
        let Some(asked) = self.asked.as_deref().filter(|_| may_go_on) else { return Err(error) };
        let Some(text) = self.shown.to_go_on_from() else { return Err(error) };
        let Some(mut request) = self.call.continued(asked, text) else { return Err(error) };
        self.shown.go_on();
        let max_silence = self.max_silence;
        let mut send = |to: To<'_>| -> BoxFuture<'static, _> {
            let request = to.request(&mut request);
            Box::pin(begin(to.provider, request, max_silence))
        };
        // That the rest could not be had either says less than why the answer broke off.
        let begun = self.call.race(&mut send).await;
        let Ok(((first, events), attempt)) = begun else { return Err(error) };
        self.begin(first, events, attempt);
        Ok(())
    }

    /// The answer of all attempts, from that of the last.
    fn whole(&self, mut last: Completion) -> Completion {
        last.message = self.shown.whole(last.message);
        last.usage = self.call.whole_usage(last.usage);
        last
    }
}

/// A stream that stands still, with what had come of its attempt where that is kept.
fn stalled(shown: &Shown) -> Error {
    let error = silent(ErrorKind::DeadlineExceeded);
    match shown.of_attempt() {
        Some(text) => PartialAnswer::new(Message::assistant(text), Usage::default(), "").behind(error),
        None => error,
    }
}

fn tokens_of(event: &CompletionEvent) -> u64 {
    match event {
        CompletionEvent::Text(text) | CompletionEvent::Reasoning(text) => estimate_tokens(text),
        CompletionEvent::ToolCallStarted { name, .. } => estimate_tokens(name),
        CompletionEvent::ToolArguments { fragment, .. } => estimate_tokens(fragment),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_stream_holds_little() {
        // Ten thousand may be open, each for minutes: `cargo run ... -- streams` in `benches/peers` measures them whole.
        assert!(size_of::<Relay>() <= 896, "{}", size_of::<Relay>());
    }
}
