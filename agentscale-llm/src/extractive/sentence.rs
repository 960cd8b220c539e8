//! Cuts Markdown and plain text into sentences that can be quoted.

/// A sentence and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) text: String,
    /// The line of the text on which it begins, from 0.
    pub(super) line: usize,
    /// The heading above it, and for a row of a table its head; empty where there is none.
    pub(super) heading: String,
}

/// Longer runs without an end are cut at a space, so that a minified file is not one quote.
const MAX_SENTENCE_BYTES: usize = 800;

/// A point behind these does not end a sentence.
const ABBREVIATIONS: &[&str] =
    &["e.g", "i.e", "vs", "cf", "etc", "approx", "dr", "mr", "mrs", "ms", "st", "no", "fig"];

/// Headings, heads of tables, rules, fences and lines of HTML tags are no sentences. A list item, a row of a table and
/// a line of code begin a sentence of their own; other lines go on with the paragraph before them.
pub(super) fn split(text: &str) -> Vec<Sentence> {
    let mut cutter = Cutter::default();
    for (number, line) in text.lines().enumerate() {
        cutter.line(number, line);
    }
    cutter.end_paragraph();
    cutter.sentences
}

#[derive(Debug, Default)]
struct Cutter {
    sentences: Vec<Sentence>,
    heading: String,
    /// The paragraph so far, as its lines.
    paragraph: Vec<(usize, String)>,
    fenced: bool,
    /// The head of the table that the line before belonged to.
    table: Option<String>,
}

impl Cutter {
    fn line(&mut self, number: usize, line: &str) {
        let line = without_quote_marks(line.trim());
        let table = self.table.take();
        if line.starts_with("```") || line.starts_with("~~~") {
            self.end_paragraph();
            self.fenced = !self.fenced;
        } else if self.fenced {
            self.push(number, line);
        } else if is_ruler(line) || is_tag(line) {
            self.end_paragraph();
            if line.starts_with('|') {
                let head = self.sentences.pop_if(|sentence| sentence.line + 1 == number);
                self.table = head.map(|head| head.text);
            }
        } else if let Some(heading) = heading(line) {
            self.end_paragraph();
            heading.clone_into(&mut self.heading);
        } else if let Some(row) = table_row(line) {
            self.end_paragraph();
            self.row(number, row, table);
        } else {
            let (item, begins) = without_list_mark(line);
            if begins {
                self.end_paragraph();
            }
            self.paragraph.push((number, item.to_owned()));
        }
    }

    fn end_paragraph(&mut self) {
        let mut sentence = String::new();
        let mut begins = None;
        for (number, line) in std::mem::take(&mut self.paragraph) {
            for word in line.split_whitespace() {
                if !sentence.is_empty() && (is_end(&sentence, word) || sentence.len() > MAX_SENTENCE_BYTES) {
                    self.push(begins.take().unwrap_or(number), &std::mem::take(&mut sentence));
                }
                begins.get_or_insert(number);
                if !sentence.is_empty() {
                    sentence.push(' ');
                }
                sentence.push_str(word);
            }
        }
        if let Some(number) = begins {
            self.push(number, &sentence);
        }
    }

    fn row(&mut self, line: usize, row: &str, table: Option<String>) {
        let head = table.as_deref().unwrap_or_default();
        let heading = format!("{} {head}", self.heading).trim().to_owned();
        self.sentences.push(Sentence { text: row.to_owned(), line, heading });
        self.table = table;
    }

    fn push(&mut self, line: usize, text: &str) {
        for text in text.split_inclusive(['。', '！', '？']).map(str::trim).filter(|text| !text.is_empty())
        {
            self.sentences.push(Sentence { text: text.to_owned(), line, heading: self.heading.clone() });
        }
    }
}

/// Whether `sentence` is over and `next` begins another one.
fn is_end(sentence: &str, next: &str) -> bool {
    let bare = sentence.trim_end_matches(['"', '\'', ')', ']', '*', '_', '`', '”', '’']);
    if !bare.ends_with(['.', '!', '?']) || sentence.matches('`').count() % 2 == 1 {
        return false;
    }
    let begins_small = next.chars().next().is_some_and(char::is_lowercase);
    let abbreviated = bare.ends_with('.') && is_abbreviation(bare);
    !begins_small && !abbreviated
}

fn is_abbreviation(sentence: &str) -> bool {
    let last = sentence.rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = last.trim_end_matches('.').trim_start_matches(['(', '"', '*', '_']).to_lowercase();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    initial || ABBREVIATIONS.contains(&word.as_str())
}

fn without_quote_marks(mut line: &str) -> &str {
    while let Some(rest) = line.strip_prefix('>') {
        line = rest.trim_start();
    }
    line
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    ((1..=6).contains(&level) && text.starts_with(' ')).then(|| text.trim().trim_end_matches('#').trim_end())
}

fn is_ruler(line: &str) -> bool {
    line.chars().all(|c| matches!(c, '-' | '=' | '*' | '_' | '|' | ':' | '+' | ' '))
}

fn is_tag(line: &str) -> bool {
    line.starts_with('<') && line.ends_with('>') && !line.starts_with("<http")
}

fn table_row(line: &str) -> Option<&str> {
    let row = line.strip_prefix('|')?;
    Some(row.strip_suffix('|').unwrap_or(row).trim())
}

/// The text of a list item, and whether the line begins one.
fn without_list_mark(line: &str) -> (&str, bool) {
    for mark in ["- ", "* ", "+ "] {
        if let Some(item) = line.strip_prefix(mark) {
            let unchecked = item.strip_prefix("[ ] ").or_else(|| item.strip_prefix("[x] ")).unwrap_or(item);
            return (unchecked.trim_start(), true);
        }
    }
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = (1..=3).contains(&(line.len() - rest.len()));
    match rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") ")) {
        Some(item) if numbered => (item.trim_start(), true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    fn texts(text: &str) -> Vec<(usize, String)> {
        split(text).into_iter().map(|sentence| (sentence.line, sentence.text)).collect()
    }

    #[test]
    fn a_sentence_begins_on_its_own_line() {
        let found = texts("# Leases\n\nA lease names an owner. It\nlasts ten seconds. Then\nit ends.\n");
        let expected = [(2, "A lease names an owner."), (2, "It lasts ten seconds."), (3, "Then it ends.")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn markdown_noise_is_not_quoted() {
        let text = "## Head ##\n---\n<br>\n- [x] First item.\n2. Second item\n   goes on.\n> Quoted.\n\
                    | a | b |\n|---|:-:|\n| x | y |\n```sh\ncargo test\n```\n";
        let found: Vec<_> = texts(text).into_iter().map(|(_, text)| text).collect();
        assert_eq!(found, ["First item.", "Second item goes on.", "Quoted.", "x | y", "cargo test"]);
        let headings: Vec<_> = split(text).into_iter().map(|sentence| sentence.heading).collect();
        assert_eq!(headings, ["Head", "Head", "Head", "Head a | b", "Head"]);
    }

    #[test]
    fn a_point_inside_a_sentence_does_not_end_it() {
        let one = "See e.g. Section 4 of v1.2 (cf. Smith) or `a. B` and J. Doe for 3.5 seconds.";
        assert_eq!(texts(one), [(0, one.to_owned())]);
        assert_eq!(texts("It is `a`. `b` is not.").len(), 2, "code may begin a sentence");
    }

    #[test]
    fn a_run_without_an_end_is_cut() {
        let found = texts(&"word ".repeat(1_000));
        assert!(found.len() > 5 && found.iter().all(|(_, text)| text.len() < 900), "{}", found.len());
    }
}
