use std::sync::Arc;

use serde_json::json;

use super::super::CREATED;
use super::super::read::quoted;
use super::{finish_reason, usage};
use crate::answer::Answer;
use crate::body::{Event, Events};
use crate::prompt::Prompt;

pub(super) fn of(answer: Answer, prompt: &Prompt) -> Events {
    let finish = finish_reason(&answer, prompt);
    let head = format!(
        r#"data: {{"id":"chatcmpl-{}","object":"chat.completion.chunk","created":{CREATED},"model":{},"service_tier":"default","system_fingerprint":"fp_simulator","choices":["#,
        answer.id,
        quoted(&answer.model),
    );
    let (usage, obfuscate) = (if prompt.include_usage { ",\"usage\":null" } else { "" }, prompt.obfuscate);
    let chunk: Arc<Chunk> = Arc::new(move |delta: &str, finish: &str| {
        let padding = if obfuscate { padding(delta.len()) } else { String::new() };
        format!(
            "{head}{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]{usage}{padding}}}\n\n"
        )
    });
    let last = match prompt.include_usage {
        true => Some(Event::silent(usage_chunk(&answer))),
        false => None,
    };
    let role = match answer.calls.is_empty() {
        true => r#"{"role":"assistant","content":"","refusal":null}"#,
        false => r#"{"role":"assistant","content":null,"refusal":null}"#,
    };
    let role = Event::silent(chunk(role, "null"));
    let finish = Event::silent(chunk("{}", &quoted(finish)));
    let hidden = answer.usage.thinking;
    let parts = parts(answer, chunk).enumerate().map(move |(place, event)| match place {
        // Tokens that are not shown are over when the first one is.
        0 => Event { tokens: event.tokens + hidden, ..event },
        _ => event,
    });
    let end = [Event::silent("data: [DONE]\n\n")];
    Box::new([role].into_iter().chain(parts).chain([finish]).chain(last).chain(end))
}

/// Renders a delta and a finish reason.
type Chunk = dyn Fn(&str, &str) -> String + Send + Sync;

fn parts(answer: Answer, chunk: Arc<Chunk>) -> impl Iterator<Item = Event> + Send {
    let of_calls = Arc::clone(&chunk);
    let texts = answer
        .text
        .into_iter()
        .map(move |token| Event::token(chunk(&format!(r#"{{"content":{}}}"#, quoted(&token)), "null")));
    let calls = answer.calls.into_iter().enumerate().flat_map(move |(index, call)| {
        let (id, name) = (quoted(&format!("call_{}", call.id)), quoted(&call.name));
        let first = format!(
            r#"{{"tool_calls":[{{"index":{index},"id":{id},"type":"function","function":{{"name":{name},"arguments":""}}}}]}}"#
        );
        let first = Event::silent(of_calls(&first, "null"));
        let chunk = Arc::clone(&of_calls);
        let fragments = call.fragments().into_iter().map(move |fragment| {
            let arguments = quoted(&fragment);
            let delta = format!(
                r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":{arguments}}}}}]}}"#
            );
            Event::token(chunk(&delta, "null"))
        });
        [first].into_iter().chain(fragments)
    });
    texts.chain(calls)
}

fn usage_chunk(answer: &Answer) -> String {
    let chunk = json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
        "choices": [],
        "usage": usage(&answer.usage),
    });
    format!("data: {chunk}\n\n")
}

/// Makes chunks of many lengths as long as each other, so that the length of an encrypted one says little.
fn padding(length: usize) -> String {
    const PADDING: &str = "q8ZrT1xMfW5kYbN2";
    format!(",\"obfuscation\":\"{}\"", &PADDING[length % PADDING.len()..])
}
