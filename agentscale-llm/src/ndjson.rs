//! Lines of JSON, decoded from bytes alone.

use agentscale_core::{Error, ErrorKind, Result};
use memchr::memchr;

use crate::sse::MAX_EVENT_BYTES;

/// Cuts bytes into lines that end with LF; a CR before it and empty lines are passed over. The same bytes give the same
/// lines however they are split. A line that comes whole is not copied.
///
/// ```
/// use agentscale_llm::ndjson::LineDecoder;
///
/// let mut decoder = LineDecoder::new();
/// let mut lines = Vec::new();
/// decoder.push(b"{\"a\":1}\r\n\n{\"b\"", |line| Ok(lines.push(line.to_vec())))?;
/// decoder.finish(|line| Ok(lines.push(line.to_vec())))?;
/// assert_eq!(lines, [&b"{\"a\":1}"[..], b"{\"b\""]);
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct LineDecoder {
    /// The line that has not ended.
    line: Vec<u8>,
}

impl LineDecoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives each line that ends within `bytes` to `take`, until that fails.
    ///
    /// # Errors
    /// The error of `take`; `too_large` for a line of more than [`MAX_EVENT_BYTES`].
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            let part = &rest[..end];
            rest = &rest[end + 1..];
            if self.line.is_empty() && part.len() <= MAX_EVENT_BYTES {
                give(part, &mut take)?;
                continue;
            }
            self.keep(part)?;
            let taken = give(&self.line, &mut take);
            self.line.clear();
            taken?;
        }
        self.keep(rest)
    }

    /// Gives the line that the end of the bytes cut off to `take`.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn finish(self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        give(&self.line, &mut take)
    }

    fn keep(&mut self, part: &[u8]) -> Result<()> {
        if self.line.len() + part.len() > MAX_EVENT_BYTES {
            return Err(
                Error::new(ErrorKind::TooLarge, "decode lines").with_context("limit_bytes", MAX_EVENT_BYTES)
            );
        }
        self.line.extend_from_slice(part);
        Ok(())
    }
}

fn give(line: &[u8], take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.trim_ascii().is_empty() { Ok(()) } else { take(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_gives_the_same_lines() {
        let stream = b"{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\"";
        for step in 1..=stream.len() {
            let mut decoder = LineDecoder::new();
            let mut lines = Vec::new();
            let mut take = |line: &[u8]| {
                lines.push(line.to_vec());
                Ok(())
            };
            stream.chunks(step).for_each(|part| decoder.push(part, &mut take).unwrap());
            decoder.finish(take).unwrap();
            assert_eq!(lines, [&b"{\"a\":1}"[..], b"{\"b\":2}", b"{\"c\""], "{step}");
        }
    }

    #[test]
    fn a_line_without_an_end_takes_bounded_memory() {
        let mut decoder = LineDecoder::new();
        let part = vec![b'x'; 1 << 20];
        let error = (0..1_000).find_map(|_| decoder.push(&part, |_| Ok(())).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(decoder.line.capacity() <= 2 * MAX_EVENT_BYTES);
    }
}
