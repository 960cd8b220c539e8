//! The streams of the providers, decoded from bytes alone.

use std::fmt;
use std::str::FromStr;

#[cfg(any(feature = "gemini", feature = "ollama", feature = "openai"))]
use agentscale_core::llm::Message;
use agentscale_core::llm::{Completion, CompletionEvent, PartialAnswer, Usage};
use agentscale_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::anthropic;
use crate::gemini;
use crate::ndjson::LineDecoder;
use crate::ollama;
use crate::openai;
use crate::sse::{MAX_EVENT_BYTES, SseDecoder, SseEvent};

mod draft;
mod text;

#[cfg(feature = "gemini")]
pub(crate) use draft::OWN_ID;
pub(crate) use draft::{CallDraft, Draft};
pub(crate) use text::Text;

/// The longest answer that is kept in memory, texts and arguments together: 32 MiB.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;

/// The wire format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI's chat completions, which many servers speak.
    OpenAiChat,
    /// OpenAI's responses.
    OpenAiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's generateContent.
    Gemini,
    /// Ollama's own.
    Ollama,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::OpenAiChat, Self::OpenAiResponses, Self::Anthropic, Self::Gemini, Self::Ollama];

    /// Its name: `openai-chat`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|dialect| dialect.as_str() == name);
        known.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "name a dialect").with_context("name", name.escape_debug())
        })
    }
}

/// Decodes the stream of one answer.
///
/// The same bytes give the same final answer however they are split. Comments, pings, unknown events and fields and a
/// missing last empty line do no harm. A stream that ends without its terminal event is an error, never a short
/// answer. A body that is one JSON text in the place of a stream, as servers send for an error, is taken for its only
/// event. Each error has what came before it as its [`PartialAnswer`]. Usage is the last that the stream told, and
/// zero where it told none. Memory is bounded by [`MAX_EVENT_BYTES`] and
/// [`MAX_ANSWER_BYTES`].
///
/// ```
/// use agentscale_llm::decode::{Dialect, StreamDecoder};
///
/// let mut decoder = StreamDecoder::new(Dialect::OpenAiChat);
/// let mut events = Vec::new();
/// decoder.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"ten \"}}]}\n\n", &mut events)?;
/// decoder.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"s\"},\"finish_reason\":\"stop\"}]}\n", &mut events)?;
/// assert_eq!(decoder.finish()?.text(), "ten s");
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Debug)]
pub struct StreamDecoder {
    framing: Framing,
    answer: Answer,
}

#[derive(Debug)]
enum Framing {
    /// Server-sent events, of which nothing but space has come.
    Unbegun(SseDecoder),
    Sse(SseDecoder),
    Lines(LineDecoder),
    /// One JSON text in the place of a stream.
    Whole(Vec<u8>),
}

#[derive(Debug)]
struct Answer {
    reader: Box<dyn EventReader>,
    draft: Draft,
    model: String,
}

/// What a dialect does with the events of its stream.
pub(crate) trait EventReader: fmt::Debug + Send {
    /// Takes one event in, and adds to `events` what is new.
    fn read(
        &mut self,
        event: SseEvent<'_>,
        draft: &mut Draft,
        events: &mut Vec<CompletionEvent>,
    ) -> Result<()>;

    /// Whether the stream has said that nothing follows. A stream that failed has not: what it failed with would be
    /// taken for what stands behind its end.
    fn is_done(&self, draft: &Draft) -> bool;
}

impl StreamDecoder {
    /// A decoder at the start of a stream.
    pub fn new(dialect: Dialect) -> Self {
        let reader: Box<dyn EventReader> = match dialect {
            Dialect::OpenAiChat => Box::new(openai::ChatReader::default()),
            Dialect::OpenAiResponses => Box::new(openai::ResponseReader::default()),
            Dialect::Anthropic => Box::new(anthropic::MessageReader::default()),
            Dialect::Gemini => Box::new(gemini::GenerateReader::default()),
            Dialect::Ollama => Box::new(ollama::LineReader::default()),
        };
        let framing = match dialect {
            Dialect::Ollama => Framing::Lines(LineDecoder::new()),
            _ => Framing::Unbegun(SseDecoder::new()),
        };
        Self { framing, answer: Answer { reader, draft: Draft::default(), model: String::new() } }
    }

    /// Reads the events in another way than its dialect's own.
    #[cfg(any(feature = "anthropic", feature = "ollama"))]
    pub(crate) fn with_reader(mut self, reader: impl EventReader + 'static) -> Self {
        self.answer.reader = Box::new(reader);
        self
    }

    /// Gives calls without an id one that is new in the conversation.
    #[cfg(any(feature = "gemini", feature = "ollama", feature = "openai"))]
    pub(crate) fn answering(mut self, messages: &[Message]) -> Self {
        self.answer.draft = Draft::answering(messages);
        self
    }

    /// Names the model of the answer where the stream does not.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.answer.model = model.into();
        self
    }

    /// Takes bytes in, and adds to `events` what is new.
    ///
    /// # Errors
    /// The error that the server put into its stream, by kind; `corrupt` for what cannot be understood or comes behind
    /// the end; `too_large` above the bounds of memory. Nothing can be pushed behind an error.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<CompletionEvent>) -> Result<()> {
        self.framing.begin(bytes);
        let answer = &mut self.answer;
        let pushed = match &mut self.framing {
            Framing::Unbegun(sse) | Framing::Sse(sse) => sse.push(bytes, |event| answer.take(event, events)),
            Framing::Lines(lines) => lines.push(bytes, |line| answer.take(nameless(line), events)),
            Framing::Whole(whole) => keep(whole, bytes),
        };
        pushed.map_err(|error| self.partial().behind(error))
    }

    /// Whether the stream has said that it is over.
    pub fn is_done(&self) -> bool {
        self.answer.reader.is_done(&self.answer.draft)
    }

    /// What has come so far.
    pub fn partial(&self) -> PartialAnswer {
        self.answer.draft.partial(&self.answer.model)
    }

    /// The usage that the stream has told so far.
    pub fn usage(&self) -> Usage {
        self.answer.draft.usage()
    }

    /// The whole answer, at the end of the bytes.
    ///
    /// # Errors
    /// As for [`push`](Self::push); `unavailable` for a stream that ended without its terminal event; `corrupt` for a
    /// tool call whose arguments are no JSON; `content_refused` for a model that refused to answer.
    pub fn finish(self) -> Result<Completion> {
        self.finish_into(&mut Vec::new())
    }

    /// The whole answer, at the end of the bytes; adds to `events` what is new in an event without its last line end.
    ///
    /// # Errors
    /// As for [`finish`](Self::finish).
    pub fn finish_into(self, events: &mut Vec<CompletionEvent>) -> Result<Completion> {
        let Self { framing, mut answer } = self;
        let finished = match framing {
            Framing::Unbegun(sse) | Framing::Sse(sse) => sse.finish(|event| answer.take_last(event, events)),
            Framing::Lines(lines) => lines.finish(|line| answer.take_last(nameless(line), events)),
            Framing::Whole(whole) => answer.take_last(nameless(&whole), events),
        };
        match finished {
            Ok(()) => answer.draft.finish(&answer.model, events),
            Err(error) => Err(answer.draft.partial(&answer.model).behind(error)),
        }
    }
}

impl Framing {
    /// The first byte tells: no line of server-sent events begins as an object or a list does.
    fn begin(&mut self, bytes: &[u8]) {
        let Self::Unbegun(sse) = self else { return };
        match bytes.trim_ascii_start().first() {
            Some(b'{' | b'[') => *self = Self::Whole(Vec::new()),
            Some(_) => *self = Self::Sse(std::mem::take(sse)),
            None => {}
        }
    }
}

/// Keeps more of a body that is one event.
fn keep(whole: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    if whole.len() + bytes.len() > MAX_EVENT_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, "decode completion stream")
            .with_context("limit_bytes", MAX_EVENT_BYTES));
    }
    whole.extend_from_slice(bytes);
    Ok(())
}

impl Answer {
    fn take(&mut self, event: SseEvent<'_>, events: &mut Vec<CompletionEvent>) -> Result<()> {
        if event.data.is_empty() {
            return Ok(());
        }
        self.reader.read(event, &mut self.draft, events)
    }

    /// A stream that was cut in the middle of an event is broken off, not corrupt.
    fn take_last(&mut self, event: SseEvent<'_>, events: &mut Vec<CompletionEvent>) -> Result<()> {
        let is_whole = serde_json::from_slice::<IgnoredAny>(event.data).is_ok();
        if is_whole || event.data.trim_ascii() == b"[DONE]" {
            return self.take(event, events);
        }
        Ok(())
    }
}

/// A line is an event of its own.
fn nameless(data: &[u8]) -> SseEvent<'_> {
    SseEvent { name: "", data }
}

/// Reads the JSON of an event, which is an object: the fields of one are read from a list too, by their places. The
/// parser's error is left out: it may quote the answer.
pub(crate) fn event<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T> {
    let is_object = data.trim_ascii_start().starts_with(b"{");
    let object = is_object.then(|| serde_json::from_slice(data).ok()).flatten();
    object.ok_or_else(|| corrupt("no json of this api"))
}

pub(crate) fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "decode completion stream").with_context("reason", reason)
}
