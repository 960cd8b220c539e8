use agentscale_core::Error;
use agentscale_core::llm::{CompletionEvent, Content, Message, PartialAnswer, Usage};

/// The longest text that is kept. What is longer cannot be gone on from, and ends with the error where it breaks off.
const MOST_BYTES: usize = 64 << 10;

/// What was shown of an answer, of whichever attempts it came.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Of the attempt under way as far as the bound goes, and of those before it.
    text: String,
    /// How much of the text came of attempts that broke off.
    before: usize,
    /// From here to `before` it is white space that the attempt under way was not sent, and may give once more.
    unsent: usize,
    /// How much of that it gave.
    again: usize,
    /// Something else was shown beside the text.
    more_than_text: bool,
    /// More was shown than is kept.
    is_cut: bool,
}

impl Shown {
    /// The text of the attempt under way; `None` where it is no more kept.
    pub(super) fn of_attempt(&self) -> Option<String> {
        let unsent = self.text[..self.before].trim_end().len();
        let text = || [&self.text[unsent..unsent + self.again], &self.text[self.before..]].concat();
        (!self.is_cut).then(text)
    }

    /// The next part as it is shown; `None` where all of it was shown before.
    pub(super) fn next(&mut self, event: CompletionEvent) -> Option<CompletionEvent> {
        let CompletionEvent::Text(mut text) = event else {
            self.more_than_text = true;
            return Some(event);
        };
        let again = self.shown_again(&text);
        if again > 0 {
            self.again += again;
            text.drain(..again);
            if text.is_empty() {
                return None;
            }
        }
        self.keep(&text);
        Some(CompletionEvent::Text(text))
    }

    fn keep(&mut self, text: &str) {
        if self.text.len() + text.len() > MOST_BYTES {
            self.is_cut = true;
            // That of the attempts before is a part of the whole answer.
            self.text.truncate(self.before);
            self.text.shrink_to_fit();
        }
        if !self.is_cut {
            self.text.push_str(text);
        }
    }

    /// Whether another attempt could go on from what was shown.
    pub(super) fn may_go_on(&self) -> bool {
        !self.more_than_text && !self.is_cut
    }

    /// How many bytes `text` begins with that were shown before.
    fn shown_again(&mut self, text: &str) -> usize {
        let unsent = self.text[self.unsent..self.before].chars();
        let same = unsent.zip(text.chars()).take_while(|(shown, given)| shown == given);
        let again = same.map(|(shown, _)| shown.len_utf8()).sum();
        // Only while nothing else was given can more of it follow.
        self.unsent = if again == text.len() { self.unsent + again } else { self.before };
        again
    }

    /// What another attempt can go on from. Providers refuse white space at its end.
    pub(super) fn to_go_on_from(&self) -> Option<&str> {
        let text = self.text.trim_end();
        (self.may_go_on() && !text.is_empty()).then_some(text)
    }

    /// Another attempt goes on from here.
    pub(super) fn go_on(&mut self) {
        self.before = self.text.len();
        self.unsent = self.text.trim_end().len();
        self.again = 0;
    }

    /// The message of the attempt under way, with the text of those before it.
    pub(super) fn whole(&self, mut message: Message) -> Message {
        if self.before > 0 {
            let is_text = |part: &Content| matches!(part, Content::Text { .. });
            let place = message.content.iter().position(is_text).unwrap_or(0);
            let (mut text, mut again) = (self.text.clone(), self.again);
            message.content.retain(|part| {
                let Content::Text { text: own } = part else { return true };
                if self.is_cut {
                    text.push_str(own.get(again..).unwrap_or_default());
                    again = again.saturating_sub(own.len());
                }
                false
            });
            message.content.insert(place, Content::Text { text });
        }
        message
    }

    /// Puts all that has come behind `error`, which knows of the attempt under way alone.
    pub(super) fn behind(&self, error: Error, used: Usage) -> Error {
        if self.before == 0 {
            return error;
        }
        let (message, model) = match PartialAnswer::of(&error) {
            Some(came) => (came.message.clone(), came.model.clone()),
            None => (Message::assistant(""), String::new()),
        };
        PartialAnswer::new(self.whole(message), used, model).behind(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[&str]) -> Shown {
        let mut shown = Shown::default();
        for part in parts {
            shown.next(CompletionEvent::Text((*part).to_owned())).unwrap();
        }
        shown.go_on();
        shown
    }

    fn given(shown: &mut Shown, parts: &[&str]) -> Vec<String> {
        let event = |part: &&str| CompletionEvent::Text((*part).to_owned());
        let events: Vec<_> = parts.iter().filter_map(|part| shown.next(event(part))).collect();
        events
            .into_iter()
            .map(|event| if let CompletionEvent::Text(text) = event { text } else { panic!() })
            .collect()
    }

    #[test]
    fn white_space_that_was_not_sent_is_shown_once() {
        for (before, parts, expected) in [
            ("ten ", &["seconds"][..], &["seconds"][..]),
            ("ten ", &[" seconds"], &["seconds"]),
            ("ten ", &[" ", "seconds"], &["seconds"]),
            ("ten", &[" seconds"], &[" seconds"]),
            ("ten\n\n", &["\n", "\n\n", "# Next"], &["\n", "# Next"]),
            ("ten\n", &[" \n"], &[" \n"]),
            ("ten \u{a0}", &[" ", "\u{a0}é", " "], &["é", " "]),
        ] {
            let mut shown = shown(&[before]);
            assert_eq!(shown.to_go_on_from(), Some("ten"));
            assert_eq!(given(&mut shown, parts), expected, "{before:?} {parts:?}");
            assert_eq!(shown.text, before.to_owned() + &expected.concat());
            assert_eq!(shown.of_attempt(), Some(parts.concat()), "{before:?}");
            assert_eq!(shown.whole(Message::assistant(parts.concat())).text(), shown.text);
        }
    }

    #[test]
    fn a_whole_message_has_the_shown_text_where_its_own_stood() {
        let mut shown = shown(&["ten "]);
        given(&mut shown, &[" seconds"]);
        assert_eq!(shown.whole(Message::assistant(" seconds")), Message::assistant("ten seconds"));
        let empty = Message::new(agentscale_core::llm::Role::Assistant, Vec::new());
        assert_eq!(shown.whole(empty).text(), "ten seconds");
    }

    #[test]
    fn no_more_is_kept_than_the_bound_and_the_whole_is_whole() {
        let long = "x".repeat(MOST_BYTES - 3);
        let mut short = shown(&["ten "]);
        given(&mut short, &[" ", &long]);
        assert!(!short.may_go_on() && short.to_go_on_from().is_none());
        assert!(short.text.capacity() < 100, "{}", short.text.capacity());
        given(&mut short, &["more"]);
        assert_eq!(short.text, "ten ", "what is behind a gap is no text");
        let whole = short.whole(Message::assistant(format!(" {long}more"))).text();
        assert_eq!(whole, format!("ten {long}more"));
    }

    #[test]
    fn nothing_goes_on_from_white_space_or_from_thoughts() {
        assert_eq!(shown(&["\n"]).to_go_on_from(), None);
        let mut thoughtful = shown(&["ten"]);
        assert!(thoughtful.may_go_on());
        thoughtful.next(CompletionEvent::Reasoning("hm".to_owned())).unwrap();
        assert_eq!(thoughtful.to_go_on_from(), None);
    }
}
