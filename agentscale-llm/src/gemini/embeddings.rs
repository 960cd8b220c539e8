use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::request::wire::{Content, Part, Said};
use super::wire::Usage;

/// The most texts that the API takes at once.
pub(super) const MAX_BATCH: usize = 100;

#[derive(Debug, Serialize)]
pub(super) struct BatchRequest<'a> {
    requests: Vec<EmbedRequest<'a>>,
}

#[derive(Debug, Serialize)]
struct EmbedRequest<'a> {
    model: &'a str,
    content: Content<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse {
    embeddings: Vec<Embedding>,
    #[serde(default)]
    usage_metadata: Option<Usage>,
}

#[derive(Debug, Deserialize)]
struct Embedding {
    values: Vec<f32>,
}

/// The body that asks for the vectors of `texts`; `model` with its `models/` before it.
pub(super) fn batch<'a>(model: &'a str, texts: &'a [String]) -> BatchRequest<'a> {
    let part = |text: &'a String| Part { said: Some(Said::Text(text.into())), ..Part::default() };
    let content = |text| Content { role: None, parts: vec![part(text)] };
    BatchRequest {
        requests: texts.iter().map(|text| EmbedRequest { model, content: content(text) }).collect(),
    }
}

/// The vectors of a batch of `texts` texts, with the tokens that they cost.
pub(super) fn read(body: &[u8], texts: usize) -> Result<(Vec<Vec<f32>>, u64)> {
    let response: BatchResponse =
        serde_json::from_slice(body).map_err(|_| corrupt("no json of embeddings"))?;
    let vectors: Vec<_> = response.embeddings.into_iter().map(|embedding| embedding.values).collect();
    if vectors.len() != texts {
        return Err(corrupt("another number of vectors"));
    }
    let tokens = response.usage_metadata.and_then(|usage| usage.prompt_token_count);
    Ok((vectors, tokens.unwrap_or(0)))
}

/// Vectors of one length, as all of them must be.
pub(super) fn check(vectors: &[Vec<f32>]) -> Result<()> {
    let length = vectors.first().map_or(0, Vec::len);
    match vectors.iter().all(|vector| vector.len() == length && length > 0) {
        true => Ok(()),
        false => Err(corrupt("vectors of several lengths")),
    }
}

/// The parser's error is left out: it may quote the answer.
fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "read gemini's answer").with_context("reason", reason)
}
