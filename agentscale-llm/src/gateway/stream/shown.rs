use agentscale_core::Error;
use agentscale_core::llm::{CompletionEvent, Content, Message, PartialAnswer, Usage};

/// What was shown of an answer, of whichever attempts it came.
#[derive(Debug, Default)]
pub(super) struct Shown {
    text: String,
    /// How much of the text came of attempts that broke off.
    before: usize,
    /// From here to `before` it is white space that the attempt under way was not sent, and may give once more.
    unsent: usize,
    /// Something else was shown beside the text.
    more_than_text: bool,
}

impl Shown {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The next part as it is shown; `None` where all of it was shown before.
    pub(super) fn next(&mut self, event: CompletionEvent) -> Option<CompletionEvent> {
        let CompletionEvent::Text(mut text) = event else {
            self.more_than_text = true;
            return Some(event);
        };
        let again = self.shown_again(&text);
        if again > 0 {
            text.drain(..again);
            if text.is_empty() {
                return None;
            }
        }
        self.text.push_str(&text);
        Some(CompletionEvent::Text(text))
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
        (!self.more_than_text && !text.is_empty()).then_some(text)
    }

    /// Another attempt goes on from here.
    pub(super) fn go_on(&mut self) {
        self.before = self.text.len();
        self.unsent = self.text.trim_end().len();
    }

    /// The message of the attempt under way, with the text of those before it.
    pub(super) fn whole(&self, mut message: Message) -> Message {
        if self.before > 0 {
            let is_text = |part: &Content| matches!(part, Content::Text { .. });
            let place = message.content.iter().position(is_text).unwrap_or(0);
            message.content.retain(|part| !is_text(part));
            message.content.insert(place, Content::Text { text: self.text.clone() });
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
            assert_eq!(shown.text(), before.to_owned() + &expected.concat());
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
    fn nothing_goes_on_from_white_space_or_from_thoughts() {
        assert_eq!(shown(&["\n"]).to_go_on_from(), None);
        let mut thoughtful = shown(&["ten"]);
        thoughtful.next(CompletionEvent::Reasoning("hm".to_owned())).unwrap();
        assert_eq!(thoughtful.to_go_on_from(), None);
    }
}
