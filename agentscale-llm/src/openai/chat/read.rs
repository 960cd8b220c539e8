use agentscale_core::Result;
use agentscale_core::llm::{Completion, CompletionEvent};

use super::{ChatReader, wire};
use crate::decode::{self, Draft};

/// A body that came in one piece, with the events that a stream would have given.
pub(crate) fn completion(body: &[u8], model: &str) -> Result<(Completion, Vec<CompletionEvent>)> {
    let mut response: wire::ChatResponse<'_> = decode::event(body)?;
    for choice in response.choices.iter_mut().flatten() {
        number_calls(choice);
    }
    let (mut draft, mut events) = (Draft::default(), Vec::new());
    ChatReader::default().add(response, &mut draft, &mut events)?;
    Ok((draft.finish(model)?, events))
}

/// Calls that come whole carry no index.
fn number_calls(choice: &mut wire::Choice<'_>) {
    let calls = choice.message.iter_mut().filter_map(|delta| delta.tool_calls.as_mut()).flatten();
    for (index, call) in calls.enumerate() {
        call.index = u32::try_from(index).ok();
    }
}
