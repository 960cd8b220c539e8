use agentscale_core::llm::Embeddings;
use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::chat::reader::usage;
use super::chat::wire::Usage;

#[derive(Debug, Serialize)]
pub(super) struct EmbeddingsRequest<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a [String],
    pub(super) encoding_format: &'static str,
}

#[derive(Debug, Deserialize)]
struct EmbeddingsResponse {
    data: Vec<EmbeddingItem>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
struct EmbeddingItem {
    index: Option<usize>,
    embedding: Vec<f32>,
}

pub(super) fn read(body: &[u8], texts: usize, model: &str) -> Result<Embeddings> {
    let response: EmbeddingsResponse =
        serde_json::from_slice(body).map_err(|_| corrupt("no json of embeddings"))?;
    let mut items = response.data;
    items.sort_by_key(|item| item.index);
    let is_told_of_another =
        |(at, item): (usize, &EmbeddingItem)| item.index.is_some_and(|index| index != at);
    if items.iter().enumerate().any(is_told_of_another) {
        return Err(corrupt("vectors of other texts"));
    }
    let length = items.first().map_or(0, |item| item.embedding.len());
    if items.len() != texts || items.iter().any(|item| item.embedding.len() != length || length == 0) {
        return Err(corrupt("another number of vectors, or vectors of several lengths"));
    }
    let vectors = items.into_iter().map(|item| item.embedding).collect();
    let usage = response.usage.as_ref().map(usage).unwrap_or_default();
    Ok(Embeddings::new(vectors, usage, response.model.unwrap_or_else(|| model.to_owned())))
}

/// The parser's error is left out: it may quote the answer.
fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "read openai's answer").with_context("reason", reason)
}
