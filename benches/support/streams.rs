use std::hint::black_box;

use agentscale::llm::decode::{Dialect, StreamDecoder};

/// About how long a stream is.
const BYTES: usize = 1_500_000;

/// Pieces of an answer, as JSON strings hold them.
const PIECES: [&str; 7] = [" The", " lease", " of", " ten", " seconds", " größer", "\\n- \\\"x\\\""];

/// An event with its framing, and where its JSON stands.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) framed: Vec<u8>,
    json: std::ops::Range<usize>,
}

/// A stream of one long answer.
pub(crate) fn of(dialect: Dialect) -> Vec<Event> {
    let (begin, end) = frame(dialect);
    let mut events: Vec<_> = begin.into_iter().map(|(name, json)| event(dialect, name, &json)).collect();
    let mut bytes = 0;
    for (number, piece) in PIECES.iter().cycle().enumerate() {
        let (name, json) = delta(dialect, number, piece);
        events.push(event(dialect, name, &json));
        bytes += events.last().map_or(0, |event| event.framed.len());
        if bytes >= BYTES {
            break;
        }
    }
    events.extend(end.into_iter().map(|(name, json)| event(dialect, name, &json)));
    events
}

pub(crate) fn decode(dialect: Dialect, stream: &[Event]) {
    let mut decoder = StreamDecoder::new(dialect);
    let mut events = Vec::new();
    for event in stream {
        decoder.push(&event.framed, &mut events).expect("a stream without an error");
        black_box(&events);
        events.clear();
    }
    black_box(decoder.finish().expect("an answer"));
}

pub(crate) fn parse(stream: &[Event]) {
    for event in stream {
        let json = &event.framed[event.json.clone()];
        black_box(serde_json::from_slice::<serde_json::Value>(json).expect("json"));
    }
}

type Named = (&'static str, String);

fn event(dialect: Dialect, name: &str, json: &str) -> Event {
    let (before, behind) = match dialect {
        Dialect::Ollama => (String::new(), "\n"),
        Dialect::Gemini => ("data: ".to_owned(), "\r\n\r\n"),
        _ if name.is_empty() => ("data: ".to_owned(), "\n\n"),
        _ => (format!("event: {name}\ndata: "), "\n\n"),
    };
    let json_at = before.len()..before.len() + json.len();
    Event { framed: format!("{before}{json}{behind}").into_bytes(), json: json_at }
}

fn delta(dialect: Dialect, number: usize, piece: &str) -> Named {
    match dialect {
        Dialect::OpenAiChat => (
            "",
            format!(
                r#"{{"id":"chatcmpl-CYxq3T9kWZ","object":"chat.completion.chunk","created":1764000000,"model":"gpt-5.6-mini-2026-06-02","service_tier":"default","system_fingerprint":"fp_7a2c","choices":[{{"index":0,"delta":{{"content":"{piece}"}},"logprobs":null,"finish_reason":null}}],"usage":null,"obfuscation":"kQ2v"}}"#
            ),
        ),
        Dialect::OpenAiResponses => (
            "response.output_text.delta",
            format!(
                r#"{{"type":"response.output_text.delta","item_id":"msg_0a1b2c3d4e5f60718293a4b5c6d7e8f9","output_index":0,"content_index":0,"delta":"{piece}","logprobs":[],"obfuscation":"kQ2vT9","sequence_number":{number}}}"#
            ),
        ),
        Dialect::Anthropic => (
            "content_block_delta",
            format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{piece}"}}}}"#
            ),
        ),
        Dialect::Gemini => (
            "",
            format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{piece}"}}],"role":"model"}},"index":0}}],"usageMetadata":{{"promptTokenCount":26,"candidatesTokenCount":{number},"totalTokenCount":99,"promptTokensDetails":[{{"modality":"TEXT","tokenCount":26}}]}},"modelVersion":"gemini-2.5-flash","responseId":"QHiLaa6L"}}"#
            ),
        ),
        _ => (
            "",
            format!(
                r#"{{"model":"qwen3:8b","created_at":"2025-10-09T08:53:20.448190Z","message":{{"role":"assistant","content":"{piece}"}},"done":false}}"#
            ),
        ),
    }
}

fn frame(dialect: Dialect) -> (Vec<Named>, Vec<Named>) {
    let text = |(name, json): (&'static str, &str)| (name, json.to_owned());
    let (begin, end): (&[_], &[_]) = match dialect {
        Dialect::OpenAiChat => {
            (&[], &[("", r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)])
        }
        Dialect::OpenAiResponses => (
            &[],
            &[("response.completed", r#"{"type":"response.completed","response":{"status":"completed"}}"#)],
        ),
        Dialect::Anthropic => (
            &[
                ("message_start", r#"{"type":"message_start","message":{"id":"msg_1","content":[]}}"#),
                (
                    "content_block_start",
                    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                ),
            ],
            &[
                ("message_delta", r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#),
                ("message_stop", r#"{"type":"message_stop"}"#),
            ],
        ),
        Dialect::Gemini => {
            (&[], &[("", r#"{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}"#)])
        }
        _ => (&[], &[("", r#"{"message":{"content":""},"done":true,"done_reason":"stop"}"#)]),
    };
    (begin.iter().copied().map(text).collect(), end.iter().copied().map(text).collect())
}
