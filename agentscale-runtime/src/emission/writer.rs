use std::sync::Arc;
use std::time::Duration;

use agentscale_core::runs::{AppendEvents, Epoch, OpenRun, RunId};
use agentscale_core::{ErrorKind, Result, Retry};
use tokio::time::sleep;

use super::buffer::Buffer;
use crate::patience::within;
use crate::runtime::Shared;

/// Waited before the second attempt, doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long after the end of its turn an event is worth another attempt.
const AFTER_THE_END: Duration = Duration::from_secs(10);

/// Brings what a turn emits to its stream, and keeps the stream while the turn runs.
pub(super) async fn write(runtime: Arc<Shared>, run: RunId, epoch: Epoch, buffer: Arc<Buffer>) {
    let streams = runtime.run_streams.clone();
    let stubborn = Stubborn { runtime: &runtime, buffer: &buffer };
    let open = || streams.open(OpenRun::new(run.clone(), epoch));
    let Some(first) = stubborn.repeat(open).await else { return buffer.abandon() };
    let renewal = streams.limits().ttl / 3;
    loop {
        tokio::select! {
            biased;
            taken = buffer.take() => {
                let Some((before, events)) = taken else { return };
                let count = events.len() as u64;
                let request = AppendEvents::new(run.clone(), epoch, first + before, events);
                if stubborn.repeat(|| streams.append(request.clone())).await.is_none() {
                    buffer.count_dropped(count);
                    return buffer.abandon();
                }
            }
            () = sleep(renewal) => {
                let renewed = within(runtime.patience(), "renew run", streams.renew(&run, epoch)).await;
                // A stream that is gone comes back with the next event; one that cannot be asked may be there.
                if renewed.is_err_and(|error| error.kind() == ErrorKind::Fenced) {
                    return buffer.abandon();
                }
            }
        }
    }
}

struct Stubborn<'a> {
    runtime: &'a Shared,
    buffer: &'a Buffer,
}

impl Stubborn<'_> {
    /// Repeats an operation that fails for now, while its turn runs and a little longer.
    async fn repeat<T, F: Future<Output = Result<T>>>(&self, operation: impl Fn() -> F) -> Option<T> {
        let runtime = self.runtime;
        let mut wait = FIRST_WAIT;
        loop {
            let is_last = runtime.is_stopped();
            let answer = tokio::select! {
                biased;
                answer = within(runtime.patience(), "emit events", operation()) => answer,
                // It is tried once more, with less patience.
                () = runtime.stop.cancelled(), if !is_last => continue,
            };
            let error = match answer {
                Ok(answer) => return Some(answer),
                Err(error) => error,
            };
            let is_late = self.buffer.closed().is_some_and(|closed| closed.elapsed() >= AFTER_THE_END);
            if is_last || is_late || error.retry() != Retry::Later {
                tracing::debug!(%error, "events are not emitted");
                return None;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = runtime.stop.cancelled() => {}
            }
            wait = LONGEST_WAIT.min(wait * 2);
        }
    }
}
