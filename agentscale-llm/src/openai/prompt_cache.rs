//! The fields of a request that are about the prompt cache.

use agentscale_core::llm::{CacheRetention, PromptCache};
use serde::Serialize;

use super::config::CacheRetentionField;

#[derive(Debug, Serialize)]
pub(super) struct PromptCacheFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_options: Option<CacheOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_retention: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct CacheOptions {
    ttl: &'static str,
}

impl<'a> PromptCacheFields<'a> {
    /// The longest times are the only ones that either field takes beside the server's own.
    pub(super) fn of(cache: &'a PromptCache, field: CacheRetentionField) -> Self {
        let asked = |by| cache.retention == CacheRetention::Long && field == by;
        Self {
            prompt_cache_key: cache.key.as_deref(),
            prompt_cache_options: asked(CacheRetentionField::Options).then_some(CacheOptions { ttl: "30m" }),
            prompt_cache_retention: asked(CacheRetentionField::Retention).then_some("24h"),
        }
    }
}
