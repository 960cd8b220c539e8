//! The four APIs: what they read, what they answer, how they refuse.

mod anthropic;
mod credentials;
mod error;
mod gemini;
mod ollama;
mod openai_chat;
mod openai_embeddings;
mod openai_error;
mod openai_responses;
mod read;
mod refusals;

use serde::Deserialize;

pub(crate) use anthropic::Anthropic;
pub(crate) use credentials::{key, no_key};
pub(crate) use error::{anthropic_error, gemini_error, named, of_status, stream_error};
pub(crate) use gemini::{
    Framing, Gemini, GeminiEmbeddings, field as gemini_field, invalid as gemini_invalid,
    parse as parse_gemini, read_contents as read_gemini,
};
pub(crate) use ollama::Ollama;
pub(crate) use openai_chat::OpenAiChat;
pub(crate) use openai_embeddings::OpenAiEmbeddings;
pub(crate) use openai_responses::OpenAiResponses;
pub(crate) use refusals::{models, too_long, unknown_model, unknown_path};

/// When every answer was made: a clock would make equal requests have other answers.
pub(crate) const CREATED: u64 = 1_760_000_000;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    Openai,
    Anthropic,
    Gemini,
    Ollama,
}
