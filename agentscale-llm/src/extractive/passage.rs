use super::sentence::{self, Sentence};

/// A document of the context, cut into sentences.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    citation: Citation<'a>,
    pub(super) sentences: Vec<Sentence>,
}

impl<'a> Passage<'a> {
    pub(super) fn new(citation: &'a str, text: &str) -> Self {
        let lines = text.trim_end_matches(['\n', '\r']).lines().count().max(1);
        Self { citation: Citation::parse(citation, lines), sentences: sentence::split(text) }
    }

    /// `file:line` of the sentence.
    pub(super) fn cite(&self, sentence: &Sentence) -> String {
        match self.citation {
            Citation::From { file, line } => format!("{file}:{}", line + sentence.line as u64),
            Citation::Start { file, line } => format!("{file}:{line}"),
            Citation::Other(citation) => citation.to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Citation<'a> {
    /// The text is the lines of the file from `line` on.
    From { file: &'a str, line: u64 },
    /// The text has more lines than its citation names, so only the first is known.
    Start { file: &'a str, line: u64 },
    /// No line was named.
    Other(&'a str),
}

impl<'a> Citation<'a> {
    fn parse(citation: &'a str, lines: usize) -> Self {
        Self::parse_lines(citation, lines as u64).unwrap_or(Self::Other(citation))
    }

    fn parse_lines(citation: &'a str, lines: u64) -> Option<Self> {
        let (file, range) = citation.rsplit_once(':')?;
        let Some((start, end)) = range.split_once('-') else {
            return Some(Self::From { file, line: range.parse().ok()? });
        };
        let (line, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
        let named = end.checked_sub(line)?.saturating_add(1);
        Some(if lines <= named { Self::From { file, line } } else { Self::Start { file, line } })
    }
}
