//! `POST /v1/embeddings`.

use std::sync::Arc;

use agentscale::core::LlmProvider;
use agentscale::core::llm::{EmbeddingRequest, Embeddings};
use axum::extract::State;
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::call::{Call, Caller};
use super::error::{ApiError, ErrorBody};
use super::json::{Asked, Json};
use crate::app::App;

/// More than OpenAI takes at once is refused as there.
const MAX_TEXTS: usize = 2_048;

/// Texts to embed. Fields that are not named here are passed over.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct VectorsRequest {
    /// A model, or a hint that stands for one.
    #[serde(default)]
    model: String,
    #[serde(default)]
    input: Option<Input>,
    /// `float` or `base64`: 32-bit floats, the lowest byte first.
    #[serde(default)]
    encoding_format: Option<String>,
    /// Vectors have the length of their model.
    #[serde(default)]
    dimensions: Option<u32>,
    #[serde(default)]
    user: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Input {
    One(String),
    Several(Vec<String>),
    Other(Tokens),
}

/// Tokens, which are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(value_type = Vec<u32>)]
struct Tokens(IgnoredAny);

/// One vector a text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VectorsAnswer {
    object: &'static str,
    data: Vec<VectorAnswer>,
    model: String,
    usage: VectorsUsage,
}

#[derive(Debug, Serialize, ToSchema)]
struct VectorAnswer {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Debug, Serialize, ToSchema)]
struct VectorsUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Float,
    Base64,
}

/// Embeds texts.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    request_body = VectorsRequest,
    responses(
        (status = 200, description = "One vector a text, in their order", body = VectorsAnswer),
        (status = "4XX", description = "The request cannot work, or not now", body = ErrorBody),
        (status = "5XX", description = "No provider could answer", body = ErrorBody),
    ),
    security(("key" = []))
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Asked(body, _held): Asked<VectorsRequest>,
) -> Result<Json<VectorsAnswer>, ApiError> {
    let mut call = Call::new(&app, &caller, &headers, &body.model, [body.user.as_deref()])?;
    let (model, encoding) = (body.model.clone(), body.encoding()?);
    let request = EmbeddingRequest::new(body.into_texts()?).with_model(&model);
    let vectors = call.run(app.provider().embed(request.with_context(call.context.clone()))).await?;
    Ok(Json(VectorsAnswer::new(model, encoding, vectors)))
}

impl VectorsRequest {
    fn encoding(&self) -> Result<Encoding, ApiError> {
        match self.encoding_format.as_deref() {
            None | Some("float") => Ok(Encoding::Float),
            Some("base64") => Ok(Encoding::Base64),
            Some(_) => Err(ApiError::invalid_param("encoding_format", "Supported are float and base64.")),
        }
    }

    fn into_texts(self) -> Result<Vec<String>, ApiError> {
        if self.dimensions.is_some() {
            let message = "Vectors have the length of their model.";
            return Err(ApiError::unsupported("dimensions", message));
        }
        let texts = match self.input {
            None => return Err(ApiError::missing("input")),
            Some(Input::One(text)) => vec![text],
            Some(Input::Several(texts)) => texts,
            Some(Input::Other(_)) => {
                return Err(ApiError::unsupported("input", "Texts are embedded, not tokens."));
            }
        };
        if texts.is_empty() || texts.len() > MAX_TEXTS || texts.iter().any(String::is_empty) {
            return Err(ApiError::invalid_param("input", "1 to 2048 texts, none of them empty."));
        }
        Ok(texts)
    }
}

impl VectorsAnswer {
    fn new(model: String, encoding: Encoding, vectors: Embeddings) -> Self {
        let tokens = vectors.usage.input_tokens;
        let data = vectors.vectors.into_iter().enumerate().map(|(index, vector)| VectorAnswer {
            object: "embedding",
            index,
            embedding: encoding.encode(vector),
        });
        let usage = VectorsUsage { prompt_tokens: tokens, total_tokens: tokens };
        Self { object: "list", data: data.collect(), model, usage }
    }
}

impl Encoding {
    fn encode(self, vector: Vec<f32>) -> Vector {
        match self {
            Self::Float => Vector::Floats(vector),
            Self::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Vector::Base64(STANDARD.encode(bytes))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_and_several_are_taken() {
        assert_eq!(texts(r#"{"input":"a"}"#).unwrap(), ["a"]);
        assert_eq!(texts(r#"{"input":["a","b"],"encoding_format":"float"}"#).unwrap(), ["a", "b"]);
    }

    #[test]
    fn what_is_no_text_is_refused_by_name() {
        for (body, param) in [
            ("{}", "input"),
            (r#"{"input":[]}"#, "input"),
            (r#"{"input":""}"#, "input"),
            (r#"{"input":[1,2]}"#, "input"),
            (r#"{"input":[[1,2]]}"#, "input"),
            (r#"{"input":"a","dimensions":7}"#, "dimensions"),
        ] {
            assert_eq!(texts(body).unwrap_err().body().error.param, Some(param), "{body}");
        }
    }

    #[test]
    fn base64_holds_the_numbers_lowest_byte_first() {
        assert_eq!(Encoding::Base64.encode(vec![1.0, -2.0]), Vector::Base64("AACAPwAAAMA=".to_owned()));
    }

    fn texts(body: &str) -> Result<Vec<String>, ApiError> {
        serde_json::from_str::<VectorsRequest>(body).unwrap().into_texts()
    }
}
