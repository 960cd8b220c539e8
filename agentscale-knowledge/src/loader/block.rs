//! The blocks of a document: paragraphs, headings, fences of code.

/// Lines that belong together: `first..end`, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: BlockKind,
    pub(super) first: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    Paragraph,
    Fence,
    Heading { level: usize, title: String },
}

/// Paragraphs alone: runs of lines that are not blank.
pub(super) fn text_blocks(lines: &[&str]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if is_blank(lines[at]) {
            at += 1;
            continue;
        }
        let end = run(lines, at, |line| !is_blank(line));
        blocks.push(Block { kind: BlockKind::Paragraph, first: at, end });
        at = end;
    }
    blocks
}

/// Headings of both kinds of Markdown, fences of code, and paragraphs between them.
pub(super) fn markdown_blocks(lines: &[&str]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if is_blank(line) {
            at += 1;
            continue;
        }
        let (kind, end) = if let Some(fence) = Fence::opened_by(line) {
            let inside = run(lines, at + 1, |line| !fence.is_closed_by(line));
            (BlockKind::Fence, lines.len().min(inside + 1))
        } else if let Some((level, title)) = hash_heading(line) {
            (BlockKind::Heading { level, title }, at + 1)
        } else if let Some(level) = lines.get(at + 1).and_then(|line| underline(line)) {
            (BlockKind::Heading { level, title: line.trim().to_owned() }, at + 2)
        } else {
            let plain = |line: &str| {
                !is_blank(line) && Fence::opened_by(line).is_none() && hash_heading(line).is_none()
            };
            (BlockKind::Paragraph, run(lines, at + 1, plain))
        };
        blocks.push(Block { kind, first: at, end });
        at = end;
    }
    blocks
}

fn run(lines: &[&str], from: usize, holds: impl Fn(&str) -> bool) -> usize {
    lines[from..].iter().position(|line| !holds(line)).map_or(lines.len(), |length| from + length)
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let line = line.trim_start();
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let length = line.chars().take_while(|c| *c == mark).count();
        // A back tick behind the opening ones makes it a span of code within a line.
        let inline = mark == '`' && line[length..].contains('`');
        (length >= 3 && !inline).then_some(Self { mark, length })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim();
        line.len() >= self.length && line.chars().all(|c| c == self.mark)
    }
}

fn hash_heading(line: &str) -> Option<(usize, String)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let title = &line[level..];
    let is_heading = (1..=6).contains(&level) && (title.is_empty() || title.starts_with([' ', '\t']));
    is_heading.then(|| (level, title.trim().trim_end_matches('#').trim_end().to_owned()))
}

fn underline(line: &str) -> Option<usize> {
    let line = line.trim_end();
    let all = |mark: char| line.len() >= 2 && line.chars().all(|c| c == mark);
    if all('=') {
        Some(1)
    } else if all('-') {
        Some(2)
    } else {
        None
    }
}
