//! `POST /v1/embeddings`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::openai_chat::{model, positive};
use super::openai_error::{invalid, missing, not_json, wrong_type};
use super::read::given;
use crate::embedding;
use crate::embeddings::{Embeddings, Input};
use crate::prompt::tokens;
use crate::refusal::Refusal;

const MOST_INPUTS: usize = 2_048;

pub(crate) struct OpenAiEmbeddings;

impl Embeddings for OpenAiEmbeddings {
    fn read(&self, body: &[u8]) -> Result<Input, Refusal> {
        let body: Value = serde_json::from_slice(body).map_err(|_| not_json())?;
        let input = given(&body, "input").ok_or_else(|| missing("input"))?;
        let texts = match input {
            Value::String(text) => vec![text.clone()],
            // Tokens stand for themselves.
            Value::Array(list) if list.iter().all(Value::is_u64) && !list.is_empty() => {
                vec![input.to_string()]
            }
            Value::Array(list) => list.iter().map(text).collect::<Result<_, _>>()?,
            other => return Err(wrong_type("input", "one of a string or an array", other)),
        };
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err(invalid(
                "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
                None,
                None,
            ));
        }
        if texts.len() > MOST_INPUTS {
            let message = format!(
                "Invalid 'input': array too long. Expected an array with maximum length {MOST_INPUTS}, but got an \
                 array with length {} instead.",
                texts.len()
            );
            return Err(invalid(&message, Some("input"), Some("array_above_max_length")));
        }
        let options = json!(body["encoding_format"] == "base64");
        let dimensions = positive(&body, "dimensions")?;
        Ok(Input { model: model(&body)?, texts, dimensions, options })
    }

    fn whole(&self, input: &Input, dimensions: usize) -> Value {
        let entry = |(index, text): (usize, &String)| {
            let vector = embedding::vector(&input.model, text, dimensions);
            let embedding = match input.options == true {
                true => {
                    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                    json!(STANDARD.encode(bytes))
                }
                false => embedding::json(&vector),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        };
        let data: Vec<Value> = input.texts.iter().enumerate().map(entry).collect();
        let used: u64 = input.texts.iter().map(|text| tokens(text)).sum();
        json!({
            "object": "list",
            "data": data,
            "model": input.model,
            "usage": {"prompt_tokens": used, "total_tokens": used},
        })
    }
}

fn text(value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(tokens) if !tokens.is_empty() && tokens.iter().all(Value::is_u64) => {
            Ok(value.to_string())
        }
        other => Err(wrong_type("input", "one of a string or an array", other)),
    }
}
