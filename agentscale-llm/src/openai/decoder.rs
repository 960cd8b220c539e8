use agentscale_core::llm::{Completion, CompletionEvent, Usage};
use agentscale_core::{Error, ErrorKind, Result};

use super::draft::Draft;
use super::{error, wire};
use crate::sse::{SseDecoder, SseEvent};

/// Decodes the stream of a chat completion from bytes alone.
///
/// The same bytes give the same final answer however they are split. Comments, unknown events and fields, a missing
/// `[DONE]` and a missing last empty line do no harm; a missing finish reason is an error, never a short answer.
/// Usage is the last that the stream told, and zero where it told none. Memory is bounded by
/// [`MAX_EVENT_BYTES`](crate::sse::MAX_EVENT_BYTES) and [`MAX_ANSWER_BYTES`](super::MAX_ANSWER_BYTES).
///
/// ```
/// use agentscale_llm::openai::ChatDecoder;
///
/// let mut decoder = ChatDecoder::new();
/// let mut events = Vec::new();
/// decoder.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"ten \"}}]}\n\n", &mut events).unwrap();
/// decoder.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"s\"},\"finish_reason\":\"stop\"}]}\n", &mut events).unwrap();
/// assert_eq!(decoder.finish().unwrap().text(), "ten s");
/// ```
#[derive(Debug, Default)]
pub struct ChatDecoder {
    events: SseDecoder,
    draft: Draft,
    done: bool,
    model: String,
}

impl ChatDecoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the model of the answer where the stream does not.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// Takes bytes in, and adds to `events` what is new. Nothing is lost of what came before an error.
    ///
    /// # Errors
    /// The error that the server put into its stream, by kind; `corrupt` for what cannot be understood or comes behind
    /// the end; `too_large` above the bounds of memory.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<CompletionEvent>) -> Result<()> {
        let mut ended = Vec::new();
        let pushed = self.events.push(bytes, &mut ended);
        for event in ended {
            self.take(&event, events)?;
        }
        pushed
    }

    /// Whether the stream has said that it is over.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        self.draft.text()
    }

    /// The usage that the stream has told so far.
    pub fn usage(&self) -> Usage {
        self.draft.usage()
    }

    /// The whole answer, at the end of the bytes.
    ///
    /// # Errors
    /// As for [`push`](Self::push); `unavailable` for a stream that ended without a finish reason; `corrupt` for a tool
    /// call whose arguments are no JSON; `content_refused` for a model that refused to answer.
    pub fn finish(mut self) -> Result<Completion> {
        let events = std::mem::take(&mut self.events);
        if let Some(last) = events.finish()? {
            // A stream that was cut in the middle of an event is broken off, not corrupt.
            let cut_off =
                !is_done(&last) && serde_json::from_slice::<serde::de::IgnoredAny>(&last.data).is_err();
            if !cut_off {
                self.take(&last, &mut Vec::new())?;
            }
        }
        self.draft.finish(&self.model)
    }

    fn take(&mut self, event: &SseEvent, events: &mut Vec<CompletionEvent>) -> Result<()> {
        if is_done(event) {
            self.done = true;
            return Ok(());
        }
        if self.done {
            return Err(corrupt("an event behind the end"));
        }
        if event.data.is_empty() {
            return Ok(());
        }
        if event.name == "error" {
            return Err(error::from_body(None, &event.data));
        }
        let chunk: wire::ChatResponse =
            serde_json::from_slice(&event.data).map_err(|_| corrupt("no json of a chunk"))?;
        match chunk.error {
            Some(body) => Err(error::from_stream(body)),
            None => self.draft.add(chunk, events),
        }
    }
}

fn is_done(event: &SseEvent) -> bool {
    event.data.trim_ascii() == b"[DONE]"
}

/// The parser's error is left out: it may quote the answer.
fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "decode completion stream").with_context("reason", reason)
}
