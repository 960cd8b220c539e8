//! What is answered, in one vocabulary for all dialects.

#[derive(Debug)]
pub(crate) struct Answer {
    /// Names the answer: a hash of the seed and the prompt.
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) thinking: Vec<String>,
    /// The tokens of the text; none where tools are called.
    pub(crate) text: Vec<String>,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Finish,
    pub(crate) usage: Usage,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// A JSON object.
    pub(crate) arguments: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finish {
    Stop,
    StopSequence(String),
    Length,
    Tools,
}

/// Input tokens include the cached ones, and output tokens those of thinking.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    /// Read from a cache.
    pub(crate) cached: u64,
    /// Written to a cache, for five minutes and for an hour.
    pub(crate) written: u64,
    pub(crate) written_for_long: u64,
    pub(crate) output: u64,
    pub(crate) thinking: u64,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        self.text.concat()
    }

    pub(crate) fn thoughts(&self) -> String {
        self.thinking.concat()
    }
}

impl Call {
    /// The arguments in pieces of a token each.
    pub(crate) fn fragments(&self) -> Vec<String> {
        let mut fragments = vec![String::new()];
        for character in self.arguments.chars() {
            match fragments.last_mut() {
                Some(last) if last.len() < 4 => last.push(character),
                _ => fragments.push(character.to_string()),
            }
        }
        fragments
    }
}
