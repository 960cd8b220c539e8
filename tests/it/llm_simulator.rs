//! The simulator speaks the providers' wires: exact events, errors, headers, limits, faults and counters.

#![allow(clippy::needless_pass_by_value, reason = "bodies are made for one call")]

mod anthropic;
mod conformance;
#[cfg(feature = "llm-openai")]
mod connections;
#[cfg(all(feature = "llm-anthropic", feature = "llm-gemini"))]
mod conversations;
#[cfg(feature = "llm-openai")]
mod failover;
mod faults;
mod gemini;
mod limits;
mod ollama;
mod openai;
mod openai_responses;
mod process;
#[cfg(feature = "llm-openai")]
mod prompt_cache;
mod pure;
mod server;

use serde_json::{Value, json};

/// A script without delays.
pub(crate) fn script(fields: Value) -> Value {
    let mut script = json!({"latency": {"first_token_ms": 0, "tokens_per_second": 0, "jitter": 0}});
    script.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    script
}

/// A schema and a check of what fits it.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "words": {"type": "string"},
            "count": {"type": "integer", "minimum": 3, "maximum": 5},
            "kind": {"enum": ["a", "b"]},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        },
        "required": ["words", "count", "kind", "tags"],
        "additionalProperties": false,
    })
}

pub(crate) fn assert_fits(value: &Value) {
    assert_eq!(value.as_object().unwrap().len(), 4, "{value}");
    assert!(value["words"].is_string(), "{value}");
    assert!((3..=5).contains(&value["count"].as_i64().unwrap()), "{value}");
    assert!(value["kind"] == "a" || value["kind"] == "b", "{value}");
    assert_eq!(value["tags"].as_array().unwrap().len(), 2, "{value}");
}
