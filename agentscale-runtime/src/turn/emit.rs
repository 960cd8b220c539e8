use agentscale_core::Result;
use agentscale_core::runs::{NewEvent, RunId};
use serde::Serialize;

use super::Turn;

impl<S> Turn<'_, S> {
    /// Emits an event for those who follow this run, at once: before the turn has committed, and whether it does.
    ///
    /// It never waits. Events stand in a bounded buffer until they are appended; while the streams cannot be reached the
    /// oldest make room there, which is counted, and readers see a gap. A repeated turn emits again, under a higher epoch.
    /// The last event of a stream is the runtime's: `end`, with `{"outcome":"completed"}`, or `"failed"` and the error's
    /// `kind`.
    ///
    /// # Errors
    /// `invalid_input` for a name that is none, and for data that JSON cannot hold; `too_large` for an event over the
    /// limit of the streams.
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, data: &T) -> Result<()> {
        let event = NewEvent::json(name.try_into()?, data)?;
        let context = self.context;
        context.emission.emit(context.runtime, || (context.run(), context.epoch()), event)
    }

    /// Names this run, across its repetitions, for those who follow it.
    pub fn run(&self) -> RunId {
        self.context.run()
    }
}
