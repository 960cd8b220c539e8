//! The streams of `tests/fixtures/DIALECT/` give what stands beside them, however their bytes are split.
//!
//! The JSON beside a stream is what the example `decode_stream` prints for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agentscale_core::llm::{Completion, CompletionEvent, Content, Message, PartialAnswer, ToolCall};
use agentscale_core::{Error, Result};
use agentscale_llm::decode::{Dialect, StreamDecoder};
use agentscale_llm::ndjson::LineDecoder;
use agentscale_llm::sse::{SseDecoder, SseEvent};
use serde_json::{Value, json};

/// A dialect without so many streams is not tested.
const FEWEST: usize = 10;

#[test]
fn every_split_gives_the_same_answer() {
    std::thread::scope(|scope| {
        for dialect in Dialect::ALL {
            scope.spawn(move || check_dialect(dialect));
        }
    });
}

#[test]
fn every_cut_gives_the_same_events() {
    for dialect in Dialect::ALL {
        for path in streams(dialect) {
            let bytes = std::fs::read(&path).unwrap();
            let whole = framed(dialect, [bytes.as_slice()]);
            assert!(!whole.is_empty() || path.ends_with("error_html.sse"), "{}", path.display());
            for at in 0..=bytes.len() {
                let (first, second) = bytes.split_at(at);
                assert_eq!(framed(dialect, [first, second]), whole, "{} cut at {at}", path.display());
            }
        }
    }
}

/// The events, each with its name before it.
fn framed<'a>(dialect: Dialect, parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    if dialect == Dialect::Ollama {
        let mut take = |line: &[u8]| {
            events.push(line.to_vec());
            Ok(())
        };
        let mut decoder = LineDecoder::new();
        parts.into_iter().try_for_each(|part| decoder.push(part, &mut take)).unwrap();
        decoder.finish(take).unwrap();
    } else {
        let mut take = |event: SseEvent<'_>| {
            events.push([event.name.as_bytes(), b":", event.data].concat());
            Ok(())
        };
        let mut decoder = SseDecoder::new();
        parts.into_iter().try_for_each(|part| decoder.push(part, &mut take)).unwrap();
        decoder.finish(take).unwrap();
    }
    events
}

fn check_dialect(dialect: Dialect) {
    let streams = streams(dialect);
    assert!(streams.len() >= FEWEST, "{dialect}: {} streams", streams.len());
    for path in streams {
        let name = format!("{dialect}/{}", path.file_stem().unwrap().to_string_lossy());
        let bytes = std::fs::read(&path).unwrap();
        let beside = std::fs::read(path.with_extension("json")).unwrap_or_else(|_| panic!("{name}.json"));
        let whole = Decoded::of(dialect, [bytes.as_slice()]);
        assert_eq!(whole.shown(), serde_json::from_slice::<Value>(&beside).unwrap(), "{name}");
        whole.check_events(&name);
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(Decoded::of(dialect, [first, second]), whole, "{name} cut at {at}");
        }
        for step in 1..=17 {
            assert_eq!(Decoded::of(dialect, bytes.chunks(step)), whole, "{name} by {step}");
        }
    }
}

fn streams(dialect: Dialect) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(dialect.as_str());
    let files = std::fs::read_dir(&folder).unwrap_or_else(|_| panic!("{}", folder.display()));
    let files = files.map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|kind| kind == "sse" || kind == "ndjson")).collect()
}

#[derive(Debug)]
struct Decoded {
    result: Result<Completion>,
    events: Events,
}

/// The events of a stream, those of one part joined.
#[derive(Debug, Default, PartialEq)]
struct Events {
    text: String,
    reasoning: String,
    /// The calls by their places: id, name, signature and arguments.
    calls: BTreeMap<u32, (String, String, Option<String>, String)>,
}

impl Decoded {
    fn of<'a>(dialect: Dialect, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut events = Vec::new();
        let result = decode(dialect, parts, &mut events);
        let mut joined = Events::default();
        events.into_iter().for_each(|event| joined.add(event));
        Self { result, events: joined }
    }

    fn message(&self) -> &Message {
        match &self.result {
            Ok(completion) => &completion.message,
            Err(error) => &PartialAnswer::of(error).unwrap().message,
        }
    }

    /// The events say what the message says.
    fn check_events(&self, name: &str) {
        let (message, events) = (self.message(), &self.events);
        let thoughts = message.content.iter().filter_map(|part| match part {
            Content::Reasoning(reasoning) => Some(reasoning.text.as_str()),
            _ => None,
        });
        assert_eq!(
            (message.text(), thoughts.collect()),
            (events.text.clone(), events.reasoning.clone()),
            "{name}"
        );
        if self.result.is_err() {
            return;
        }
        let told = message.tool_calls().map(|call| {
            let ToolCall { id, name, signature, arguments, .. } = call;
            (id, name, signature, arguments.as_str())
        });
        let streamed = events.calls.values().map(|(id, name, signature, arguments)| {
            let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
            (id, name, signature, arguments)
        });
        assert_eq!(streamed.collect::<Vec<_>>(), told.collect::<Vec<_>>(), "{name}");
    }

    fn shown(&self) -> Value {
        match &self.result {
            Ok(completion) => {
                let calls: Vec<_> = completion.message.tool_calls().cloned().collect();
                let mut shown = serde_json::to_value(completion).unwrap();
                shown["tool_calls"] = serde_json::to_value(calls).unwrap();
                shown
            }
            Err(error) => json!({ "error": failure(error) }),
        }
    }
}

impl PartialEq for Decoded {
    fn eq(&self, other: &Self) -> bool {
        let results = match (&self.result, &other.result) {
            (Ok(this), Ok(that)) => this == that,
            (Err(this), Err(that)) => {
                this.to_string() == that.to_string()
                    && this.retry_after() == that.retry_after()
                    && PartialAnswer::of(this).map(|came| came.usage)
                        == PartialAnswer::of(that).map(|came| came.usage)
                    && self.message() == other.message()
            }
            _ => false,
        };
        results && self.events == other.events
    }
}

impl Events {
    fn add(&mut self, event: CompletionEvent) {
        match event {
            CompletionEvent::Text(text) => self.text.push_str(&text),
            CompletionEvent::Reasoning(text) => self.reasoning.push_str(&text),
            CompletionEvent::ToolCallStarted { index, id, name, signature } => {
                let before = self.calls.insert(index, (id, name, signature, String::new()));
                assert!(before.is_none(), "call {index} started twice");
            }
            CompletionEvent::ToolArguments { index, fragment } => {
                self.calls.get_mut(&index).expect("a started call").3.push_str(&fragment);
            }
            other => panic!("{other:?} is the provider's to say"),
        }
    }
}

fn decode<'a>(
    dialect: Dialect,
    parts: impl IntoIterator<Item = &'a [u8]>,
    events: &mut Vec<CompletionEvent>,
) -> Result<Completion> {
    let mut decoder = StreamDecoder::new(dialect);
    parts.into_iter().try_for_each(|part| decoder.push(part, events))?;
    decoder.finish_into(events)
}

fn failure(error: &Error) -> Value {
    let came = PartialAnswer::of(error).unwrap();
    let partial = json!({ "message": came.message, "usage": came.usage, "model": came.model });
    let mut failure = json!({ "kind": error.kind(), "message": error.to_string(), "retry": error.retry(), "partial": partial });
    if let Some(after) = error.retry_after() {
        failure["retry_after_ms"] = json!(after.as_millis() as u64);
    }
    failure
}
