use agentscale_core::Result;
use agentscale_core::llm::{CompletionEvent, CompletionRequest, CompletionStream};
use futures::stream;

use super::call::{Call, request_for};
use super::route::Placed;
use crate::tokens::estimate_tokens;

/// An answer on its way, and the place that it holds on a key.
struct Relay {
    call: Call,
    request: CompletionRequest,
    /// `None` behind the end.
    running: Option<(CompletionStream, Placed)>,
    /// Whether the caller has seen a part: then another provider cannot begin anew.
    shown: bool,
}

/// Begins a stream, at another provider where the first fails before its first part.
pub(super) async fn open(mut call: Call, request: CompletionRequest) -> Result<CompletionStream> {
    let (events, placed) = begin(&mut call, &request).await?;
    let limits = events.rate_limits().clone();
    let relay = Relay { call, request, running: Some((events, placed)), shown: false };
    let relayed = CompletionStream::new(stream::unfold(relay, |mut relay| async move {
        let item = relay.next().await?;
        Some((item, relay))
    }));
    Ok(relayed.with_rate_limits(limits))
}

async fn begin(call: &mut Call, request: &CompletionRequest) -> Result<(CompletionStream, Placed)> {
    loop {
        let placed = call.place().await?;
        let request = request_for(request, call.model_at(&placed), call.route.max_output);
        let provider = placed.reservation.key().provider().clone();
        match provider.stream(request).await {
            Ok(events) => {
                placed.reservation.hear(events.rate_limits());
                return Ok((events, placed));
            }
            Err(error) => call.fail(placed, error)?,
        }
    }
}

impl Relay {
    async fn next(&mut self) -> Option<Result<CompletionEvent>> {
        loop {
            let (events, placed) = self.running.as_mut()?;
            match events.next().await {
                Some(Ok(CompletionEvent::Finished(completion))) => {
                    let (_, placed) = self.running.take()?;
                    self.call.settle(placed, completion.usage);
                    return Some(Ok(CompletionEvent::Finished(completion)));
                }
                Some(Ok(event)) => {
                    if !std::mem::replace(&mut self.shown, true) {
                        self.call.tell_first_part(placed);
                    }
                    placed.reservation.count_output(tokens_of(&event));
                    return Some(Ok(event));
                }
                Some(Err(error)) => {
                    let (_, placed) = self.running.take()?;
                    // What was shown cannot be taken back: the error says what had come.
                    if self.shown {
                        self.call.break_off(placed, &error);
                        return Some(Err(error));
                    }
                    if let Err(error) = self.call.fail(placed, error) {
                        return Some(Err(error));
                    }
                }
                None => return None,
            }
            match begin(&mut self.call, &self.request).await {
                Ok(running) => self.running = Some(running),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn tokens_of(event: &CompletionEvent) -> u64 {
    match event {
        CompletionEvent::Text(text) | CompletionEvent::Reasoning(text) => estimate_tokens(text),
        CompletionEvent::ToolArguments { fragment, .. } => estimate_tokens(fragment),
        _ => 0,
    }
}
