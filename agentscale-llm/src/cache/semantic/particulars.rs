use super::telling::{PLAIN_STARTS, is_telling};

/// The words of a question that vectors do not tell apart: a likely answer to *the lease of Ann for 10 days* is none to
/// *the lease of Bob for 12 days*, however near the two lie.
///
/// They are words with a figure or a sign, quoted words, names (words with a capital, at a sentence's start unless they
/// are common there), negations, numbers in words, units, and one of two opposites. Names in scripts without capitals
/// cannot be told from other words: there every word is one. The words that are known by themselves are English.
pub(crate) fn particulars(text: &str) -> Vec<String> {
    let mut particulars = Vec::new();
    let mut quotes = Quotes::default();
    for line in text.lines() {
        let mut starts_sentence = true;
        for word in line.split_whitespace() {
            let bare = bare(word);
            if quotes.hold(word) || is_particular(bare, starts_sentence) {
                particulars.push(bare.to_lowercase());
            }
            starts_sentence = word.ends_with(['.', '!', '?', ':']);
        }
    }
    particulars
}

/// The words of a text that hold a figure.
pub(crate) fn figures(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().map(bare).filter(|word| word.contains(char::is_numeric))
}

fn is_particular(word: &str, starts_sentence: bool) -> bool {
    let has_sign = word.is_empty() || !word.chars().all(|c| c.is_alphabetic() || c == '\'' || c == '’');
    if has_sign && !is_hyphenated(word) || word.chars().any(has_no_case) {
        return true;
    }
    let lower = word.to_lowercase();
    if is_telling(&lower) {
        return true;
    }
    match word.chars().position(char::is_uppercase) {
        None => false,
        Some(0) if word == "I" || word.starts_with("I'") || word.starts_with("I’") => false,
        Some(0) if starts_sentence && !word.chars().skip(1).any(char::is_uppercase) => {
            PLAIN_STARTS.binary_search(&lower.as_str()).is_err()
        }
        Some(_) => true,
    }
}

fn is_hyphenated(word: &str) -> bool {
    let mut parts = word.split('-');
    word.contains('-') && parts.all(|part| !part.is_empty() && part.chars().all(char::is_alphabetic))
}

fn has_no_case(letter: char) -> bool {
    letter.is_alphabetic() && !letter.is_lowercase() && !letter.is_uppercase()
}

/// A word without the punctuation of sentences around it.
fn bare(word: &str) -> &str {
    let word = word.trim_start_matches(['(', '[', '{', '"', '\'', '“', '‘', '„', '«', '`', '¿', '¡']);
    let closing = |c| matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | ')' | ']' | '}');
    word.trim_end_matches(|c| closing(c) || matches!(c, '"' | '\'' | '”' | '“' | '’' | '»' | '`' | '…'))
}

/// Which words stand in quotes. A quote that nobody closes holds the rest.
#[derive(Default)]
struct Quotes {
    double: bool,
    single: bool,
}

impl Quotes {
    /// Whether `word`, the next of the text, stands in quotes.
    fn hold(&mut self, word: &str) -> bool {
        let was_open = self.double || self.single;
        let marks = word.matches(['"', '`', '“', '”', '„', '«', '»']).count();
        self.double ^= marks % 2 == 1;
        let opens = word.starts_with(['\'', '‘']);
        self.single |= opens;
        if word.trim_end_matches(['.', ',', ';', ':', '!', '?']).ends_with(['\'', '’']) {
            self.single = false;
        }
        was_open || marks > 0 || opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vectors_do_not_tell_apart_is_a_particular() {
        for (text, expected) in [
            ("How long does a lease last?", &[][..]),
            ("how long will leases last", &[]),
            ("Is it I who can't see it?", &["who", "can't"]),
            ("Weather in Paris", &["weather", "paris"]),
            ("What about Rome? And Bern.", &["rome", "bern"]),
            ("Rome to Paris", &["rome", "paris"]),
            ("Pay 10 or ten dollars", &["pay", "10", "ten", "dollars"]),
            ("the well-known \"open door\" rule", &["open", "door"]),
            ("it's 'so far' known", &["so", "far"]),
            ("run foo_bar with --force - now", &["foo_bar", "--force", "-", "now"]),
            ("租约多久", &["租约多久"]),
        ] {
            assert_eq!(particulars(text), expected, "{text}");
        }
    }

    #[test]
    fn of_two_opposites_one_is_told() {
        for (one, other) in [
            ("how do i enable it", "how do i disable it"),
            ("turn it on", "turn it off"),
            ("with a key", "without a key"),
            ("the price per month", "the price per year"),
            ("it is safe", "it is not safe"),
            ("before a restart", "after a restart"),
            ("the lowest price", "the highest price"),
        ] {
            assert_ne!(particulars(one), particulars(other), "{one} / {other}");
        }
    }
}
