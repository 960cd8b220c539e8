//! What chat completions and responses say alike of tools, formats and sampling.

use agentscale::core::Json;
use agentscale::core::llm::{CompletionRequest, ReasoningEffort, ResponseFormat, ToolChoice, ToolSpec};
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::ApiError;

/// A function that the model may ask to be called.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// What it does.
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// The JSON schema of its arguments.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) parameters: Option<Json>,
}

impl Function {
    pub(crate) fn into_spec(self) -> Result<ToolSpec, ApiError> {
        let parameters = match self.parameters.filter(|schema| schema.as_str() != "null") {
            Some(schema) => schema,
            None => Json::parse(r#"{"type":"object","properties":{}}"#)?,
        };
        Ok(ToolSpec { name: self.name, description: self.description.unwrap_or_default(), parameters })
    }
}

/// The form of the answer.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct JsonSchema {
    /// The schema's name.
    pub(crate) name: String,
    /// The schema.
    #[schema(value_type = Object)]
    pub(crate) schema: Option<Json>,
}

/// The format that `kind` and `schema` ask for.
pub(crate) fn format(
    kind: &str,
    schema: Option<JsonSchema>,
    param: &'static str,
) -> Result<ResponseFormat, ApiError> {
    match (kind, schema) {
        ("text", _) => Ok(ResponseFormat::Text),
        ("json_schema", Some(JsonSchema { name, schema: Some(schema) })) => {
            Ok(ResponseFormat::JsonSchema { name, schema })
        }
        ("json_schema", _) => Err(ApiError::missing(param)),
        ("json_object", _) => Ok(ResponseFormat::JsonObject),
        _ => Err(ApiError::invalid_param(param, "Supported are text, json_object and json_schema.")),
    }
}

/// Writes sampling and length into `request`, where they are within their ranges.
pub(crate) fn sample(
    request: &mut CompletionRequest,
    temperature: Option<f32>,
    top_p: Option<f32>,
    max_tokens: (&'static str, Option<u32>),
) -> Result<(), ApiError> {
    if temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
        return Err(ApiError::invalid_param("temperature", "Not between 0 and 2."));
    }
    if top_p.is_some_and(|top_p| !(0.0..=1.0).contains(&top_p) || top_p == 0.0) {
        return Err(ApiError::invalid_param("top_p", "Not above 0 and up to 1."));
    }
    if max_tokens.1 == Some(0) {
        return Err(ApiError::invalid_param(max_tokens.0, "Not above 0."));
    }
    (request.temperature, request.top_p, request.max_tokens) = (temperature, top_p, max_tokens.1);
    Ok(())
}

pub(crate) fn effort(name: Option<&str>, param: &'static str) -> Result<Option<ReasoningEffort>, ApiError> {
    Ok(Some(match name {
        None => return Ok(None),
        Some("none" | "minimal") => ReasoningEffort::Minimal,
        Some("low") => ReasoningEffort::Low,
        Some("medium") => ReasoningEffort::Medium,
        Some("high" | "xhigh") => ReasoningEffort::High,
        Some(_) => {
            return Err(ApiError::invalid_param(
                param,
                "Supported are none, minimal, low, medium, high, xhigh.",
            ));
        }
    }))
}

/// The arguments of a call as a model gave them earlier in the conversation.
pub(crate) fn arguments(text: &str, param: &str) -> Result<Json, ApiError> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    Json::parse(text).map_err(|_| ApiError::invalid_param(param, "The arguments of a call are JSON."))
}

/// Whether tools may be called.
pub(crate) fn mode(name: &str) -> Result<ToolChoice, ApiError> {
    match name {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(ApiError::invalid_param(
            "tool_choice",
            "Supported are none, auto, required and a function's name.",
        )),
    }
}
