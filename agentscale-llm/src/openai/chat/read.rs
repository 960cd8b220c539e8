use agentscale_core::Result;
use agentscale_core::llm::{Completion, CompletionEvent, Message};

use super::ChatReader;
use crate::decode::{self, Draft};

/// A body that came in one piece, with the events that a stream would have given.
pub(crate) fn completion(
    body: &[u8],
    model: &str,
    messages: &[Message],
) -> Result<(Completion, Vec<CompletionEvent>)> {
    let response = decode::event(body)?;
    let (mut draft, mut events) = (Draft::answering(messages), Vec::new());
    match ChatReader::default().add(response, &mut draft, &mut events) {
        Ok(()) => draft.finish_body(model, &mut events).map(|completion| (completion, events)),
        Err(error) => Err(draft.partial(model).behind(error)),
    }
}
