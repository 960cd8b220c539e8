//! From blocks to passages within the bounds of size.

use super::block::{Block, BlockKind, markdown_blocks, text_blocks};
use super::{LoaderConfig, Passage};

/// Cuts Markdown: a heading begins a passage, paragraphs fill it up to
/// [`LoaderConfig::max_passage_bytes`], a fence of code is kept whole.
pub fn cut_markdown(file: &str, text: &str, config: &LoaderConfig) -> Vec<Passage> {
    let lines: Vec<&str> = text.lines().collect();
    Cutter::new(file, &lines, config).cut(markdown_blocks(&lines))
}

/// Cuts plain text: paragraphs fill a passage up to [`LoaderConfig::max_passage_bytes`].
pub fn cut_text(file: &str, text: &str, config: &LoaderConfig) -> Vec<Passage> {
    let lines: Vec<&str> = text.lines().collect();
    Cutter::new(file, &lines, config).cut(text_blocks(&lines))
}

struct Cutter<'a> {
    file: &'a str,
    lines: &'a [&'a str],
    config: &'a LoaderConfig,
    trail: Vec<(usize, String)>,
    open: Option<Open>,
    passages: Vec<Passage>,
}

/// A passage that may still grow: lines `first..end`.
struct Open {
    first: usize,
    end: usize,
    headings_only: bool,
}

impl<'a> Cutter<'a> {
    fn new(file: &'a str, lines: &'a [&'a str], config: &'a LoaderConfig) -> Self {
        Self { file, lines, config, trail: Vec::new(), open: None, passages: Vec::new() }
    }

    fn cut(mut self, blocks: Vec<Block>) -> Vec<Passage> {
        for block in blocks {
            match &block.kind {
                BlockKind::Heading { level, title } => self.heading(*level, title, &block),
                BlockKind::Paragraph => self.body(&block, self.config.max_passage_bytes),
                BlockKind::Fence => self.body(&block, self.config.max_fence_bytes),
            }
        }
        self.close();
        self.passages
    }

    fn heading(&mut self, level: usize, title: &str, block: &Block) {
        if self.open.as_ref().is_some_and(|open| !open.headings_only) {
            self.close();
        }
        self.trail.retain(|(above, _)| *above < level);
        self.trail.push((level, title.to_owned()));
        match &mut self.open {
            Some(open) => open.end = block.end,
            None => self.open = Some(Open { first: block.first, end: block.end, headings_only: true }),
        }
    }

    fn body(&mut self, block: &Block, most: usize) {
        let first = self.open.as_ref().map_or(block.first, |open| open.first);
        if self.bytes(first, block.end) <= self.config.max_passage_bytes {
            self.open = Some(Open { first, end: block.end, headings_only: false });
            return;
        }
        // A heading stays with what follows it, though both exceed the bound by the heading.
        let first = match self.open.take() {
            Some(open) if open.headings_only => open.first,
            Some(open) => {
                self.emit(open.first, open.end);
                block.first
            }
            None => block.first,
        };
        if self.bytes(block.first, block.end) <= most {
            self.open = Some(Open { first, end: block.end, headings_only: false });
        } else {
            self.emit_in_pieces(first, block.end, most);
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.emit(open.first, open.end);
        }
    }

    fn emit_in_pieces(&mut self, first: usize, end: usize, most: usize) {
        let mut from = first;
        for at in first..end {
            if at > from && self.bytes(from, at + 1) > most {
                self.emit(from, at);
                from = at;
            }
            if self.lines[at].len() > most {
                if at > from {
                    self.emit(from, at);
                }
                self.emit_line_in_parts(at, most);
                from = at + 1;
            }
        }
        if from < end {
            self.emit(from, end);
        }
    }

    fn emit_line_in_parts(&mut self, at: usize, most: usize) {
        let mut rest = self.lines[at];
        let mut part = 0;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(break_point(rest, most));
            self.push(at, at + 1, part, piece.to_owned());
            (rest, part) = (behind, part + 1);
        }
    }

    fn emit(&mut self, first: usize, end: usize) {
        let text = self.lines[first..end].join("\n");
        if !text.trim().is_empty() {
            self.push(first, end, 0, text);
        }
    }

    fn push(&mut self, first: usize, end: usize, part: u32, text: String) {
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        self.passages.push(Passage {
            file: self.file.to_owned(),
            first_line: number(first + 1),
            last_line: number(end),
            part,
            headings: self.trail.iter().map(|(_, title)| title.clone()).collect(),
            text,
        });
    }

    fn bytes(&self, first: usize, end: usize) -> usize {
        self.lines[first..end].iter().map(|line| line.len() + 1).sum::<usize>() - 1
    }
}

/// At most `most` bytes, behind a space where there is one, never within a character, never nothing.
fn break_point(line: &str, most: usize) -> usize {
    if line.len() <= most {
        return line.len();
    }
    let mut at = most;
    while !line.is_char_boundary(at) {
        at -= 1;
    }
    let first_char = line.chars().next().map_or(1, char::len_utf8);
    line[..at].rfind(' ').map_or(at, |space| space + 1).max(first_char)
}
