use std::future::Future;

use super::{CompletionRequest, EmbeddingRequest, LlmProvider, Message};
use crate::{Error, ErrorKind, Result};

/// Conveniences over every [`LlmProvider`].
pub trait LlmProviderExt: LlmProvider {
    /// Asks one question and gives the text of the answer.
    fn ask(&self, question: &str) -> impl Future<Output = Result<String>> + Send {
        let request = CompletionRequest::new(vec![Message::user(question)]);
        async move { Ok(self.complete(request).await?.text()) }
    }

    /// Embeds one text.
    fn embed_one(&self, text: &str) -> impl Future<Output = Result<Vec<f32>>> + Send {
        let request = EmbeddingRequest::new(vec![text.to_owned()]);
        async move {
            let mut vectors = self.embed(request).await?.vectors;
            vectors.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "embed").with_context("vectors", 0))
        }
    }
}

impl<T: LlmProvider + ?Sized> LlmProviderExt for T {}
