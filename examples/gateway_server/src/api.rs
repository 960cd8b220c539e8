//! OpenAI's API, as its servers speak it: <https://platform.openai.com/docs/api-reference>.

pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod call_id;
pub(crate) mod chat;
pub(crate) mod embeddings;
pub(crate) mod error;
pub(crate) mod heading;
pub(crate) mod image;
pub(crate) mod json;
pub(crate) mod models;
mod parts;
pub(crate) mod responses;
pub(crate) mod sse;
pub(crate) mod tools;
pub(crate) mod usage;
