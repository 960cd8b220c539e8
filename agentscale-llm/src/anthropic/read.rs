use agentscale_core::Result;
use agentscale_core::llm::{Completion, CompletionEvent};

use super::{MessageReader, wire};
use crate::decode::{self, Draft};

/// A body that came in one piece, with the events that a stream would have given.
pub(super) fn completion(
    body: &[u8],
    mut reader: MessageReader,
    model: &str,
) -> Result<(Completion, Vec<CompletionEvent>)> {
    let message: wire::Message<'_> = decode::event(body)?;
    let is_whole = message.stop_reason.is_some();
    let (mut draft, mut events) = (Draft::default(), Vec::new());
    if let Err(error) = reader.add(message, &mut draft, &mut events) {
        return Err(draft.partial(model).behind(error));
    }
    if is_whole {
        reader.end(&mut draft);
    }
    draft.finish_body(model, &mut events).map(|completion| (completion, events))
}
