use agentscale_core::llm::{Embeddings, Usage};
use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::error::OPERATION;

#[derive(Debug, Serialize)]
pub(super) struct EmbedRequest<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a [String],
    pub(super) truncate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_alive: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct EmbedResponse {
    embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
}

pub(super) fn read(body: &[u8], texts: usize, model: &str) -> Result<Embeddings> {
    // The parser's error is left out: it may quote the answer.
    let response: EmbedResponse =
        serde_json::from_slice(body).map_err(|_| corrupt("no json of embeddings"))?;
    let vectors = response.embeddings;
    let length = vectors.first().map_or(0, Vec::len);
    if vectors.len() != texts || vectors.iter().any(|vector| vector.len() != length || length == 0) {
        return Err(corrupt("another number of vectors, or vectors of several lengths"));
    }
    let usage = Usage::new(response.prompt_eval_count.unwrap_or(0), 0);
    Ok(Embeddings::new(vectors, usage, response.model.unwrap_or_else(|| model.to_owned())))
}

fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, OPERATION).with_context("reason", reason)
}
