use agentscale_core::Result;
use agentscale_core::llm::{Completion, CompletionEvent};

use super::{GenerateReader, wire};
use crate::decode::{self, Draft};

/// A body that came in one piece, with the events that a stream would have given. It is an answer, or the list of its
/// chunks, which the API sends where no events are asked for.
pub(super) fn completion(
    body: &[u8],
    mut reader: GenerateReader,
    model: &str,
) -> Result<(Completion, Vec<CompletionEvent>)> {
    let (mut draft, mut events) = (Draft::default(), Vec::new());
    if body.trim_ascii_start().starts_with(b"[") {
        for chunk in decode::event::<Vec<wire::Answer<'_>>>(body)? {
            reader.add(chunk, &mut draft, &mut events)?;
        }
    } else {
        reader.add(decode::event(body)?, &mut draft, &mut events)?;
    }
    Ok((draft.finish(model)?, events))
}
