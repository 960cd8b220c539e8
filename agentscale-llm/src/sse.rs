//! Server-sent events, decoded from bytes alone.

use agentscale_core::{Error, ErrorKind, Result};
use memchr::{memchr, memchr2};

/// The longest line and the longest event that a decoder keeps in memory: 8 MiB.
pub const MAX_EVENT_BYTES: usize = 8 << 20;

/// An event of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEvent<'a> {
    /// Its `event` field; empty where the stream gave none.
    pub name: &'a str,
    /// Its `data` fields, joined by line feeds. Their encoding is not checked.
    pub data: &'a [u8],
}

/// Cuts bytes into events as the HTML standard's section 9.2.6 says: lines end with LF, CR or CRLF, comments and
/// unknown fields are passed over, an event without data is none.
///
/// The same bytes give the same events however they are split. It departs from the standard once: an event that the
/// end of the bytes cuts off is given by [`finish`](Self::finish) rather than dropped, because servers leave out the
/// last empty line. An event of one line that comes whole is not copied.
///
/// ```
/// use agentscale_llm::sse::SseDecoder;
///
/// let mut decoder = SseDecoder::new();
/// let mut events = Vec::new();
/// for part in [": ping\r\nda", "ta: one\r\ndata: two\r\n\r\n"] {
///     decoder.push(part.as_bytes(), |event| Ok(events.push(event.data.to_vec())))?;
/// }
/// assert_eq!(events, [b"one\ntwo"]);
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct SseDecoder {
    /// The line that has not ended.
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
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

    /// Gives each event that ends within `bytes` to `take`, until that fails.
    ///
    /// # Errors
    /// The error of `take`; `too_large` for a line or an event of more than [`MAX_EVENT_BYTES`].
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(SseEvent<'_>) -> Result<()>) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                return self.keep(rest);
            };
            let (line, behind) = (&rest[..end], &rest[end + 1..]);
            self.after_cr = rest[end] == b'\r';
            if let Some(data) = self.whole_event(line) {
                let behind_line = behind.strip_prefix(b"\n").filter(|_| self.after_cr).unwrap_or(behind);
                if let Some(blank @ (b'\n' | b'\r')) = behind_line.first() {
                    self.after_cr = *blank == b'\r';
                    rest = &behind_line[1..];
                    let taken = take(SseEvent { name: &self.name, data });
                    self.name.clear();
                    taken?;
                    continue;
                }
            }
            rest = behind;
            self.end_line(line, &mut take)?;
        }
        Ok(())
    }

    /// Gives the event that the end of the bytes cut off to `take`.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn finish(mut self, mut take: impl FnMut(SseEvent<'_>) -> Result<()>) -> Result<()> {
        self.end_line(b"", &mut take)?;
        self.end_event(&mut take)
    }

    /// The data of a line that is all of its event if an empty line follows.
    fn whole_event<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let is_first = self.line.is_empty() && self.begun && !self.has_data;
        let value = line.strip_prefix(b"data:").filter(|_| is_first && line.len() <= MAX_EVENT_BYTES)?;
        Some(value.strip_prefix(b" ").unwrap_or(value))
    }

    fn keep(&mut self, part: &[u8]) -> Result<()> {
        if self.line.len() + part.len() > MAX_EVENT_BYTES {
            return Err(too_large("line"));
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self, end: &[u8], take: &mut impl FnMut(SseEvent<'_>) -> Result<()>) -> Result<()> {
        if self.line.is_empty() && end.len() <= MAX_EVENT_BYTES {
            return self.read_line(end, take);
        }
        self.keep(end)?;
        let mut line = std::mem::take(&mut self.line);
        let result = self.read_line(&line, take);
        line.clear();
        self.line = line;
        result
    }

    fn read_line(&mut self, line: &[u8], take: &mut impl FnMut(SseEvent<'_>) -> Result<()>) -> Result<()> {
        let line = without_mark(line, std::mem::replace(&mut self.begun, true));
        if line.is_empty() {
            return self.end_event(take);
        }
        let colon = memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => self.add_data(value)?,
            b"event" => {
                self.name.clear();
                self.name.push_str(&String::from_utf8_lossy(value));
            }
            _ => {}
        }
        Ok(())
    }

    fn add_data(&mut self, value: &[u8]) -> Result<()> {
        if self.data.len() + value.len() > MAX_EVENT_BYTES {
            return Err(too_large("event"));
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn end_event(&mut self, take: &mut impl FnMut(SseEvent<'_>) -> Result<()>) -> Result<()> {
        let taken = match std::mem::take(&mut self.has_data) {
            true => take(SseEvent { name: &self.name, data: &self.data }),
            false => Ok(()),
        };
        self.name.clear();
        self.data.clear();
        taken
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
        let mut take = |event: SseEvent<'_>| {
            events.push((event.name.to_owned(), String::from_utf8(event.data.to_vec()).unwrap()));
            Ok(())
        };
        for part in bytes.chunks(step) {
            decoder.push(part, &mut take).unwrap();
        }
        decoder.finish(take).unwrap();
        events
    }

    fn error_of(part: &[u8]) -> (Error, SseDecoder) {
        let mut decoder = SseDecoder::new();
        let error = (0..1_000).find_map(|_| decoder.push(part, |_| Ok(())).err()).unwrap();
        (error, decoder)
    }

    #[test]
    fn every_end_of_line_gives_the_same_events() {
        let stream = "\u{feff}data: one\n: ping\n\nevent: two\nid: 7\ndata:a\ndata: b\ndata\n\ndata: c\n\nevent: none\n\nevent: d\ndata: d\n\ndata: cut off";
        let expected = [("", "one"), ("two", "a\nb\n"), ("", "c"), ("d", "d"), ("", "cut off")]
            .map(|(name, data)| (name.into(), data.into()));
        for end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', end);
            for step in 1..=stream.len() {
                assert_eq!(decode(stream.as_bytes(), step), expected, "{end:?} {step}");
            }
        }
    }

    #[test]
    fn a_line_without_an_end_takes_bounded_memory() {
        let (error, decoder) = error_of(&vec![b'x'; 1 << 20]);
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(decoder.line.capacity() <= 2 * MAX_EVENT_BYTES);
    }

    #[test]
    fn an_event_of_many_lines_takes_bounded_memory() {
        let (error, decoder) = error_of(format!("data: {}\n", "x".repeat(1 << 20)).as_bytes());
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(decoder.data.capacity() <= 2 * MAX_EVENT_BYTES);
    }

    #[test]
    fn a_line_above_the_limit_is_refused_however_it_is_split() {
        let line = format!("data: {}\n\n", "x".repeat(MAX_EVENT_BYTES + 1));
        for step in [line.len(), line.len() / 2] {
            let mut decoder = SseDecoder::new();
            let errors = line.as_bytes().chunks(step).filter_map(|part| decoder.push(part, |_| Ok(())).err());
            assert_eq!(errors.map(|error| error.kind()).next(), Some(ErrorKind::TooLarge), "{step}");
        }
    }

    #[test]
    fn a_line_about_the_limit_is_taken_or_refused_however_it_is_split() {
        for bytes in [MAX_EVENT_BYTES - 1, MAX_EVENT_BYTES, MAX_EVENT_BYTES + 1, MAX_EVENT_BYTES + 5] {
            let stream = format!("\ndata:{}\n\n", "x".repeat(bytes - "data:".len()));
            let is_taken = |step: usize| {
                let mut decoder = SseDecoder::new();
                stream.as_bytes().chunks(step).all(|part| decoder.push(part, |_| Ok(())).is_ok())
            };
            let expected = bytes <= MAX_EVENT_BYTES;
            assert_eq!([stream.len(), stream.len() / 2].map(is_taken), [expected; 2], "{bytes}");
        }
    }
}
