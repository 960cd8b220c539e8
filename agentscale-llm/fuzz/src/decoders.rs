use agentscale_core::llm::{Completion, CompletionEvent, Message, PartialAnswer};
use agentscale_core::{Error, Result};
use agentscale_llm::decode::{Dialect, StreamDecoder};

/// What was not escaped in the stream may take more room once it is told: a path that becomes JSON, a line break
/// between thoughts.
const GROWTH: usize = 16;

/// Nothing panics, any cut gives what the whole gives, and what is told is bounded by what came.
pub fn decode(dialect: Dialect, data: &[u8]) {
    let (whole, events) = decoded(dialect, &[data]);
    let (parts, of_parts) = decoded(dialect, &super::cut(data));
    assert_eq!(joined(&events), joined(&of_parts));
    match (&whole, &parts) {
        (Ok(whole), Ok(parts)) => assert_eq!(whole, parts),
        (Err(whole), Err(parts)) => assert_eq!(shown(whole), shown(parts)),
        _ => panic!("{whole:?} {parts:?}"),
    }
    let told: usize = joined(&events).iter().map(String::len).sum();
    assert!(told <= GROWTH * data.len() + 1_024, "{told} bytes of {}", data.len());
}

fn decoded(dialect: Dialect, parts: &[&[u8]]) -> (Result<Completion>, Vec<CompletionEvent>) {
    let (mut decoder, mut events) = (StreamDecoder::new(dialect), Vec::new());
    for part in parts {
        if let Err(error) = decoder.push(part, &mut events) {
            return (Err(error), events);
        }
    }
    (decoder.finish_into(&mut events), events)
}

fn shown(error: &Error) -> (String, Option<&Message>) {
    (error.to_string(), PartialAnswer::of(error).map(|came| &came.message))
}

/// Texts, thoughts, and the name and the arguments of each call.
fn joined(events: &[CompletionEvent]) -> Vec<String> {
    let mut all = vec![String::new(); 2];
    for event in events {
        let (at, text) = match event {
            CompletionEvent::ToolCallStarted { index, name, .. } => (2 + *index as usize, name),
            CompletionEvent::Text(text) => (0, text),
            CompletionEvent::Reasoning(text) => (1, text),
            CompletionEvent::ToolArguments { index, fragment } => (2 + *index as usize, fragment),
            other => panic!("{other:?} is the provider's to say"),
        };
        all.resize(all.len().max(at + 1), String::new());
        all[at].push_str(text);
    }
    all
}
