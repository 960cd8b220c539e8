//! What a turn emits while it runs: kept in a bounded buffer, from which a task brings it to the run's stream.

use std::sync::{Arc, OnceLock};

use agentscale_core::runs::{Epoch, NewEvent, RunId};
use agentscale_core::{Error, Result};
use serde::Serialize;

mod buffer;
mod writer;

use crate::runtime::Shared;
use buffer::Buffer;

/// The name of the event that ends a stream.
const END: &str = "end";

/// The stream of one attempt at a turn; none until it emits something.
#[derive(Debug, Default)]
pub(crate) struct Emission(OnceLock<Arc<Buffer>>);

/// How a run ended.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
enum End {
    Completed,
    Failed { kind: &'static str },
}

impl Emission {
    /// Emits an event, the first one under an epoch and a name that are made for it.
    pub(crate) fn emit(
        &self,
        runtime: &Arc<Shared>,
        run: impl FnOnce() -> (RunId, Epoch),
        event: NewEvent,
    ) -> Result<()> {
        runtime.run_streams.limits().check_event(&event)?;
        let buffer = self.0.get_or_init(|| {
            let (run, epoch) = run();
            let buffer = Arc::new(Buffer::new(&runtime.config, runtime.counters.clone()));
            let write = writer::write(runtime.clone(), run, epoch, buffer.clone());
            runtime.tasks.spawn_on(write, &runtime.tokio);
            buffer
        });
        buffer.push(event);
        Ok(())
    }

    /// Ends the stream: there is no other attempt.
    pub(crate) fn end(&self, error: Option<&Error>) {
        let Some(buffer) = self.0.get() else { return };
        let end = error.map_or(End::Completed, |error| End::Failed { kind: error.kind().as_str() });
        let event = END.try_into().and_then(|name| NewEvent::json(name, &end));
        if let Ok(event) = event {
            buffer.push(event.ending());
        }
        buffer.close();
    }
}

impl Drop for Emission {
    /// What was emitted still leaves; another attempt may follow.
    fn drop(&mut self) {
        if let Some(buffer) = self.0.get() {
            buffer.close();
        }
    }
}
