use hyper::HeaderMap;

use super::error::{anthropic_error, gemini_error};
use super::{Dialect, openai_error};
use crate::refusal::Refusal;

/// The key of a request, where its dialect carries one.
pub(crate) fn key(dialect: Dialect, headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = match dialect {
        Dialect::Openai | Dialect::Ollama => bearer,
        Dialect::Anthropic => header("x-api-key").or(bearer),
        Dialect::Gemini => {
            let pairs = query.into_iter().flat_map(|query| query.split('&'));
            let in_query = pairs.filter_map(|pair| pair.strip_prefix("key=")).next();
            header("x-goog-api-key").or(in_query).or(bearer)
        }
    };
    key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty())
}

pub(crate) fn no_key(dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::Openai => openai_error::no_key(),
        Dialect::Anthropic => Refusal::new(401, anthropic_error(401, "x-api-key header is required")),
        Dialect::Gemini => {
            let message = "Method doesn't allow unregistered callers (callers without established identity). Please \
                           use API Key or other form of API consumer identity to call this API.";
            Refusal::new(403, gemini_error(403, message))
        }
        Dialect::Ollama => Refusal::new(401, serde_json::json!({"error": "unauthorized"})),
    }
}
