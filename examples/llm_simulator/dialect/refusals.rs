//! What every API of a dialect says of paths, models and lengths.

use serde_json::{Value, json};

use super::error::{anthropic_error, gemini_error};
use super::{CREATED, Dialect, openai_error};
use crate::refusal::Refusal;
use crate::script::Model;

pub(crate) fn unknown_model(dialect: Dialect, model: &str) -> Refusal {
    match dialect {
        Dialect::Openai => openai_error::unknown_model(model),
        Dialect::Anthropic => Refusal::new(404, anthropic_error(404, &format!("model: {model}"))),
        Dialect::Gemini => {
            let message = format!(
                "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call \
                 ListModels to see the list of available models and their supported methods."
            );
            Refusal::new(404, gemini_error(404, &message))
        }
        Dialect::Ollama => Refusal::new(404, json!({"error": format!("model '{model}' not found")})),
    }
}

pub(crate) fn too_long(dialect: Dialect, limit: u64, tokens: u64) -> Refusal {
    match dialect {
        Dialect::Openai => openai_error::too_long(limit, tokens),
        Dialect::Anthropic => {
            let message = format!("prompt is too long: {tokens} tokens > {limit} maximum");
            Refusal::new(400, anthropic_error(400, &message))
        }
        Dialect::Gemini => {
            let message = format!(
                "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({limit})."
            );
            Refusal::new(400, gemini_error(400, &message))
        }
        Dialect::Ollama => Refusal::new(400, json!({"error": "the input length exceeds the context length"})),
    }
}

pub(crate) fn unknown_path(dialect: Dialect, method: &str, path: &str) -> Refusal {
    let body = match dialect {
        Dialect::Openai => {
            let message = format!("Invalid URL ({method} {path})");
            openai_error::error(&message, "invalid_request_error", None, None)
        }
        Dialect::Anthropic => anthropic_error(404, "Not Found"),
        Dialect::Gemini => gemini_error(404, "Requested entity was not found."),
        Dialect::Ollama => json!({"error": "404 page not found"}),
    };
    Refusal::new(404, body)
}

/// The list of models; empty where any name works.
pub(crate) fn models(dialect: Dialect, models: &[Model]) -> Value {
    let each = |entry: &dyn Fn(&Model) -> Value| models.iter().map(entry).collect::<Vec<_>>();
    match dialect {
        Dialect::Openai => json!({
            "object": "list",
            "data": each(&|model| {
                json!({"id": model.name, "object": "model", "created": CREATED, "owned_by": "simulator"})
            }),
        }),
        Dialect::Anthropic => json!({
            "data": each(&|model| json!({"id": model.name, "type": "model", "display_name": model.name})),
            "has_more": false,
        }),
        Dialect::Gemini => json!({
            "models": each(&|model| json!({
                "name": format!("models/{}", model.name),
                "inputTokenLimit": model.context_tokens,
                "supportedGenerationMethods": ["generateContent", "embedContent"],
            })),
        }),
        Dialect::Ollama => json!({
            "models": each(&|model| json!({"name": model.name, "model": model.name})),
        }),
    }
}
