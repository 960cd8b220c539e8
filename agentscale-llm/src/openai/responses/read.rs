use agentscale_core::Result;
use agentscale_core::llm::{Completion, CompletionEvent};

use super::{ResponseReader, wire};
use crate::decode::{self, Draft};

/// A body that came in one piece, with the events that a stream would have given.
pub(super) fn completion(body: &[u8], model: &str) -> Result<(Completion, Vec<CompletionEvent>)> {
    let response: wire::Response<'_> = decode::event(body)?;
    let (mut draft, mut events) = (Draft::default(), Vec::new());
    match ResponseReader::default().add(response, &mut draft, &mut events) {
        Ok(()) => draft.finish_body(model, &mut events).map(|completion| (completion, events)),
        Err(error) => Err(draft.partial(model).behind(error)),
    }
}
