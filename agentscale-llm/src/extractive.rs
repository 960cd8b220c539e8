//! An offline provider that answers by quoting.

use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, Content, LlmCapabilities, LlmProvider, Message,
    ModelInfo, Role,
};
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::answer;
use passage::Passage;

mod passage;
mod rank;
mod sentence;
mod words;

/// The whole answer of [`ExtractiveProvider`] where no sentence fits the question.
pub const NOTHING_FOUND: &str = "Nothing in the given documents answers the question.";

const MODEL: &str = "extractive";

/// Answers by quoting the sentences of its context that fit the question best, each with its citation.
///
/// The question is the text of the last user message; the context is every [`Content::Document`] of the
/// conversation. Each quote stands on its own line as `sentence [file:line]`, best first, where the line is the
/// one on which the sentence begins, counted from the line that the document's citation names. The same request
/// gives the same answer.
///
/// The method is lexical and knows no meaning: a synonym is another word. Sentences are ranked by BM25
/// (Robertson and Zaragoza, *The Probabilistic Relevance Framework*, 2009; k1 1.2, b 0.75), with a sentence as the
/// document, English stop words left out and plural, `-ed` and `-ing` endings stripped. Words of the heading above
/// a sentence count at three tenths. A sentence fits when it and its heading hold two of the question's words (one
/// where the question has but one) and at least [`ExtractiveConfig::min_coverage`] of their weight.
///
/// Tokens are counted by [`estimate_tokens`](crate::estimate_tokens). Tools and schemas are `unsupported`.
#[derive(Clone, Debug, Default)]
pub struct ExtractiveProvider {
    config: ExtractiveConfig,
}

/// Options of [`ExtractiveProvider`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ExtractiveConfig {
    /// The most sentences that an answer quotes; 3.
    pub max_sentences: usize,
    /// The share of the question's weight that a sentence must hold, 0 to 1; 0.35.
    pub min_coverage: f64,
}

impl Default for ExtractiveConfig {
    fn default() -> Self {
        Self { max_sentences: 3, min_coverage: 0.35 }
    }
}

impl ExtractiveProvider {
    /// A provider with the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// A provider with other options.
    pub fn with_config(config: ExtractiveConfig) -> Self {
        Self { config }
    }

    fn answer(&self, request: &CompletionRequest) -> Result<Completion> {
        self.capabilities().check(request)?;
        answer::check_model(&request.model, MODEL)?;
        let question = question(&request.messages)?;
        let passages: Vec<_> =
            documents(&request.messages).map(|(at, text)| Passage::new(at, text)).collect();
        let quotes = rank::best(&question, &passages, &self.config);
        let text = match quotes.is_empty() {
            true => NOTHING_FOUND.to_owned(),
            false => quotes.join("\n"),
        };
        Ok(answer::completion(request, &text, MODEL))
    }
}

#[async_trait]
impl LlmProvider for ExtractiveProvider {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities::new()
    }

    fn models(&self) -> Vec<ModelInfo> {
        vec![ModelInfo::new(MODEL)]
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        self.answer(&request)
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        Ok(CompletionStream::from_completion(self.answer(&request)?))
    }
}

fn question(messages: &[Message]) -> Result<String> {
    let asked = messages.iter().rev().filter(|message| message.role == Role::User).map(Message::text);
    let mut questions = asked.filter(|text| !text.trim().is_empty());
    questions.next().ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "complete by quoting")
            .with_context("reason", "no question was asked")
    })
}

fn documents(messages: &[Message]) -> impl Iterator<Item = (&str, &str)> {
    messages.iter().flat_map(|message| &message.content).filter_map(|part| match part {
        Content::Document { citation, text } => Some((citation.as_str(), text.as_str())),
        _ => None,
    })
}
