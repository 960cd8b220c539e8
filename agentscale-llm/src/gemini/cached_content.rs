use std::time::{Duration, SystemTime};

use agentscale_core::llm::CompletionRequest;
use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::error::OPERATION;
use super::request;
use crate::headers::parse_rfc3339;
use crate::refusal::is_code;

/// Contents that are stored at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedContent {
    /// Names it in [`PromptCache::stored`](agentscale_core::llm::PromptCache::stored), as `cachedContents/abc`.
    pub name: String,
    /// The model that takes it; others do not.
    pub model: String,
    /// When it goes.
    pub expires: Option<SystemTime>,
    /// Its tokens, which each hour of storage is billed by.
    pub tokens: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct CreateRequest<'a> {
    model: &'a str,
    #[serde(flatten)]
    prompt: request::wire::Prompt<'a>,
    ttl: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    name: String,
    model: String,
    #[serde(default)]
    expire_time: String,
    #[serde(default)]
    usage_metadata: StoredUsage,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StoredUsage {
    total_token_count: u64,
}

/// The body that stores what stands in `request`; `model` with its `models/` before it.
pub(super) fn create<'a>(
    request: &'a CompletionRequest,
    model: &'a str,
    ttl: Duration,
) -> Result<CreateRequest<'a>> {
    let ttl = format!("{}.{:09}s", ttl.as_secs(), ttl.subsec_nanos());
    Ok(CreateRequest { model, prompt: request::prompt(request, model)?, ttl })
}

pub(super) fn read(body: &[u8]) -> Result<CachedContent> {
    // The parser's error is left out: it may quote the answer.
    let stored: Stored = serde_json::from_slice(body).map_err(|_| {
        Error::new(ErrorKind::Corrupt, "read gemini's answer")
            .with_context("reason", "no json of stored contents")
    })?;
    let tokens = stored.usage_metadata.total_token_count;
    let Stored { name, model, expire_time, .. } = stored;
    Ok(CachedContent { name, model, expires: parse_rfc3339(&expire_time), tokens })
}

/// Where the contents of a name stand.
pub(super) fn path(name: &str) -> Result<String> {
    match name.strip_prefix("cachedContents/").filter(|id| is_code(id)) {
        Some(_) => Ok(format!("/{name}")),
        None => Err(Error::new(ErrorKind::InvalidInput, OPERATION).with_context("field", "name")),
    }
}
