use serde_json::json;

use super::super::read::quoted;
use super::{Framing, calls, finish_reason, usage};
use crate::answer::Answer;
use crate::body::{Event, Events};

/// Chunks are whole answers, each with the usage so far; nothing marks the end.
pub(super) fn of(answer: &Answer, framing: Framing) -> Events {
    let tail = format!(r#""modelVersion":{},"responseId":"{}"}}"#, quoted(&answer.model), answer.id);
    let (input, cached, hidden) = (answer.usage.input, answer.usage.cached, answer.usage.thinking);
    let hidden = if answer.thinking.is_empty() { hidden } else { 0 };
    let chunk = move |part: &str, thoughts: u64, spoken: u64| {
        let mut used = format!(r#""promptTokenCount":{input},"candidatesTokenCount":{spoken}"#);
        if thoughts > 0 {
            used.push_str(&format!(r#","thoughtsTokenCount":{thoughts}"#));
        }
        if cached > 0 {
            used.push_str(&format!(r#","cachedContentTokenCount":{cached}"#));
        }
        let total = input + thoughts + spoken;
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{part}],"role":"model"}},"index":0}}],"usageMetadata":{{{used},"totalTokenCount":{total}}},{tail}"#
        )
    };
    let last = json!({
        "candidates": [{
            "content": {"parts": [{"text": ""}], "role": "model"},
            "finishReason": finish_reason(answer),
            "index": 0,
        }],
        "usageMetadata": usage(&answer.usage),
        "modelVersion": answer.model,
        "responseId": answer.id,
    });
    let shown = answer.thinking.len() as u64;
    let of_thoughts = chunk.clone();
    let thoughts = answer.thinking.clone().into_iter().enumerate().map(move |(place, token)| {
        let part = format!(r#"{{"text":{},"thought":true}}"#, quoted(&token));
        (of_thoughts(&part, place as u64 + 1, 0), 1)
    });
    let of_text = chunk.clone();
    let text = answer.text.clone().into_iter().enumerate().map(move |(place, token)| {
        let part = format!(r#"{{"text":{}}}"#, quoted(&token));
        (of_text(&part, shown + hidden, place as u64 + 1), 1)
    });
    let mut spoken = 0;
    let lengths: Vec<u64> = answer.calls.iter().map(|call| call.fragments().len() as u64).collect();
    let calls = calls(answer).into_iter().zip(lengths).map(move |(part, tokens)| {
        spoken += tokens;
        (chunk(&part.to_string(), shown + hidden, spoken), tokens)
    });
    let chunks = thoughts.chain(text).chain(calls).chain([(last.to_string(), 0)]);
    let framed = chunks.enumerate().map(move |(place, (chunk, tokens))| Event {
        bytes: framed(&chunk, framing, place).into(),
        // Thoughts that are not shown are over when the first token is.
        tokens: tokens + if place == 0 { hidden } else { 0 },
    });
    let end = (framing == Framing::Array).then(|| Event::silent("\n]"));
    Box::new(framed.chain(end))
}

fn framed(chunk: &str, framing: Framing, place: usize) -> String {
    match framing {
        Framing::Array if place == 0 => format!("[{chunk}"),
        Framing::Array => format!("\n,\r\n{chunk}"),
        Framing::Sse | Framing::Whole => format!("data: {chunk}\r\n\r\n"),
    }
}
