/// Words that say nothing about what is asked.
const STOP_WORDS: &[&str] = &[
    "about", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but", "by",
    "can", "could", "did", "do", "does", "doing", "done", "each", "every", "explain", "find", "for", "from",
    "get", "give", "given", "had", "has", "have", "how", "if", "in", "into", "is", "it", "its", "just",
    "let", "like", "long", "many", "may", "me", "might", "more", "most", "much", "must", "my", "no", "not",
    "of", "on", "one", "only", "or", "our", "out", "over", "please", "shall", "should", "show", "so", "some",
    "such", "tell", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "those", "to", "up", "us", "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom",
    "whose", "why", "will", "with", "would", "you", "your",
];

/// The stems of the words of a text, stop words left out.
pub(super) fn stems(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).flat_map(apart);
    words.filter(|word| says_something(word)).map(stem).collect()
}

/// A run in a script without spaces is taken as single characters.
fn apart(run: &str) -> Vec<&str> {
    if !run.chars().any(is_spaceless) {
        return vec![run];
    }
    run.char_indices().map(|(at, c)| &run[at..at + c.len_utf8()]).collect()
}

fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

fn says_something(word: &str) -> bool {
    let letter = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    !word.is_empty() && !letter && !STOP_WORDS.contains(&word)
}

/// Strips plural endings as the S-stemmer does (Harman, *How effective is suffixing?*, 1991), then `-ed` and `-ing`,
/// a doubled last letter and a last `e`, so that `use`, `used` and `using` meet. Only ASCII words are stripped.
fn stem(word: &str) -> String {
    if !word.is_ascii() || word.len() <= 2 {
        return word.to_owned();
    }
    let singular = singular(word);
    let ending = ["ing", "ed"].into_iter().find_map(|ending| singular.strip_suffix(ending));
    let stem = ending.filter(|stem| stem.len() >= 2 && has_vowel(stem)).unwrap_or(&singular);
    let single = match stem.as_bytes() {
        [.., a, b] if a == b && stem.len() > 3 => &stem[..stem.len() - 1],
        _ => stem,
    };
    single.strip_suffix('e').filter(|rest| rest.len() >= 2).unwrap_or(single).to_owned()
}

fn singular(word: &str) -> String {
    match word {
        _ if word.ends_with("ies") && word.len() > 4 => format!("{}y", &word[..word.len() - 3]),
        _ if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") => word.to_owned(),
        _ => word.strip_suffix('s').unwrap_or(word).to_owned(),
    }
}

fn has_vowel(stem: &str) -> bool {
    stem.bytes().any(|byte| matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'y'))
}

#[cfg(test)]
mod tests {
    use super::stems;

    #[test]
    fn forms_of_a_word_meet() {
        for forms in [
            "use used using uses",
            "commit commits committed committing",
            "lease leases leased leasing",
            "query queries",
            "kill killed kills killing",
            "store stored stores storing",
        ] {
            let stems = stems(forms);
            assert!(stems.windows(2).all(|pair| pair[0] == pair[1]), "{stems:?}");
        }
    }

    #[test]
    fn stop_words_and_lone_letters_are_left_out() {
        assert_eq!(stems("What is the owner's 9?"), ["owner", "9"]);
        assert_eq!(stems("租约 ends"), ["租", "约", "end"]);
    }
}
