//! Server-sent events, decoded from bytes alone.

use agentscale_core::{Error, ErrorKind, Result};

/// The longest line and the longest event that [`SseDecoder`] keeps in memory: 8 MiB.
pub const MAX_EVENT_BYTES: usize = 8 << 20;

/// An event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEvent {
    /// Its `event` field; empty where the stream gave none.
    pub name: String,
    /// Its `data` fields, joined by line feeds. Their encoding is not checked.
    pub data: Vec<u8>,
}

/// Cuts bytes into events as the HTML standard's section 9.2.6 says: lines end with LF, CR or CRLF, comments and
/// unknown fields are passed over, an event without data is none.
///
/// The same bytes give the same events however they are split. It departs from the standard once: an event that the
/// end of the bytes cuts off is given by [`finish`](Self::finish) rather than dropped, because servers leave out the
/// last empty line.
///
/// ```
/// use agentscale_llm::sse::SseDecoder;
///
/// let mut decoder = SseDecoder::new();
/// let mut events = Vec::new();
/// decoder.push(b": ping\r\nda", &mut events).unwrap();
/// decoder.push(b"ta: one\r\ndata: two\r\n\r\n", &mut events).unwrap();
/// assert_eq!(events[0].data, b"one\ntwo");
/// ```
#[derive(Debug, Default)]
pub struct SseDecoder {
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    begun: bool,
}

impl SseDecoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the events that end within `bytes` to `events`; those before an error are among them.
    ///
    /// # Errors
    /// `too_large` for a line or an event of more than [`MAX_EVENT_BYTES`].
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<SseEvent>) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.keep(rest)?;
                break;
            };
            self.keep(&rest[..end])?;
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            events.extend(self.end_line()?);
        }
        Ok(())
    }

    /// The event that the end of the bytes cut off.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn finish(mut self) -> Result<Option<SseEvent>> {
        let last = self.end_line()?;
        Ok(last.or_else(|| self.end_event()))
    }

    fn keep(&mut self, part: &[u8]) -> Result<()> {
        if self.line.len() + part.len() > MAX_EVENT_BYTES {
            return Err(too_large("line"));
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<SseEvent>> {
        let mut line = std::mem::take(&mut self.line);
        let event = self.read_line(without_mark(&line, self.begun));
        self.begun = true;
        line.clear();
        self.line = line;
        event
    }

    fn read_line(&mut self, line: &[u8]) -> Result<Option<SseEvent>> {
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => self.add_data(value)?,
            b"event" => self.event.name = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
        Ok(None)
    }

    fn add_data(&mut self, value: &[u8]) -> Result<()> {
        if self.event.data.len() + value.len() > MAX_EVENT_BYTES {
            return Err(too_large("event"));
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.event.data.push(b'\n');
        }
        self.event.data.extend_from_slice(value);
        Ok(())
    }

    fn end_event(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

/// The first line of a stream without its byte order mark.
fn without_mark(line: &[u8], begun: bool) -> &[u8] {
    let mark = if begun { None } else { line.strip_prefix(b"\xef\xbb\xbf") };
    mark.unwrap_or(line)
}

fn too_large(what: &'static str) -> Error {
    Error::new(ErrorKind::TooLarge, "decode server-sent events")
        .with_context("what", what)
        .with_context("limit_bytes", MAX_EVENT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], step: usize) -> Vec<(String, String)> {
        let mut decoder = SseDecoder::new();
        let mut events = Vec::new();
        for part in bytes.chunks(step) {
            decoder.push(part, &mut events).unwrap();
        }
        events.extend(decoder.finish().unwrap());
        events.into_iter().map(|event| (event.name, String::from_utf8(event.data).unwrap())).collect()
    }

    #[test]
    fn every_end_of_line_gives_the_same_events() {
        let stream = "\u{feff}data: one\n: ping\n\nevent: two\nid: 7\ndata:a\ndata: b\ndata\n\nevent: none\n\ndata: cut off";
        let expected =
            [("", "one"), ("two", "a\nb\n"), ("", "cut off")].map(|(name, data)| (name.into(), data.into()));
        for end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', end);
            for step in 1..=stream.len() {
                assert_eq!(decode(stream.as_bytes(), step), expected, "{end:?} {step}");
            }
        }
    }

    #[test]
    fn a_line_without_an_end_takes_bounded_memory() {
        let mut decoder = SseDecoder::new();
        let part = vec![b'x'; 1 << 20];
        let error = (0..1_000).find_map(|_| decoder.push(&part, &mut Vec::new()).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(decoder.line.capacity() <= 2 * MAX_EVENT_BYTES);
    }

    #[test]
    fn an_event_of_many_lines_takes_bounded_memory() {
        let mut decoder = SseDecoder::new();
        let line = format!("data: {}\n", "x".repeat(1 << 20));
        let error = (0..1_000).find_map(|_| decoder.push(line.as_bytes(), &mut Vec::new()).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}
