use agentscale::core::Json;
use agentscale::core::llm::{CompletionRequest, Message, ToolChoice, ToolSpec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::input::{Input, conversation};
use super::thought::Shown;
use crate::api::error::ApiError;
use crate::api::tools::{self, Function, JsonSchema};

const ENCRYPTED: &str = "reasoning.encrypted_content";

/// An input to answer. Fields that are not named here are passed over.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ResponseRequest {
    /// A model, or a hint that stands for one.
    #[serde(default)]
    pub(crate) model: String,
    #[serde(default)]
    input: Option<Input>,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Json>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    tool_choice: Option<Json>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    text: Option<Json>,
    #[serde(default)]
    reasoning: Option<ReasoningFields>,
    /// `reasoning.encrypted_content`, so that thoughts can go back with the next request.
    #[serde(default)]
    include: Option<Vec<String>>,
    #[serde(default)]
    max_output_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f32>,
    #[serde(default)]
    top_p: Option<f32>,
    /// Calls of one key go to one key of the provider, whose prompt cache knows them.
    #[serde(default)]
    prompt_cache_key: Option<String>,
    /// In the place of `prompt_cache_key` where there is none.
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Json>,
    /// Nothing is stored; the conversation comes with each request.
    #[serde(default)]
    previous_response_id: Option<String>,
    #[serde(default)]
    background: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ReasoningFields {
    #[serde(default)]
    effort: Option<String>,
}

/// What a response repeats of its request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Echo {
    instructions: Option<String>,
    max_output_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    #[schema(value_type = Object)]
    metadata: Json,
    #[schema(value_type = Vec<Object>)]
    tools: Json,
    #[schema(value_type = Object)]
    tool_choice: Json,
    #[schema(value_type = Object)]
    text: Json,
}

#[derive(Deserialize)]
struct ResponseTool {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Json>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ResponseToolChoice {
    Mode(String),
    Tool { name: String },
}

#[derive(Deserialize)]
struct TextFields {
    #[serde(default)]
    format: Option<TextFormat>,
}

#[derive(Deserialize)]
struct TextFormat {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    schema: Option<Json>,
}

impl ResponseRequest {
    pub(super) fn stream(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// What may name the session of the call, the best first.
    pub(super) fn sessions(&self) -> [Option<&str>; 2] {
        [self.prompt_cache_key.as_deref(), self.user.as_deref()]
    }

    pub(super) fn thoughts(&self) -> Shown {
        let include = self.include.as_deref().unwrap_or_default();
        if include.iter().any(|what| what == ENCRYPTED) { Shown::Encrypted } else { Shown::Summary }
    }

    pub(super) fn echo(&self) -> Result<Echo, ApiError> {
        let or = |given: &Option<Json>, text: &str| given.clone().map_or_else(|| Json::parse(text), Ok);
        Ok(Echo {
            instructions: self.instructions.clone(),
            max_output_tokens: self.max_output_tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            metadata: or(&self.metadata, "{}")?,
            tools: or(&self.tools, "[]")?,
            tool_choice: or(&self.tool_choice, r#""auto""#)?,
            text: or(&self.text, r#"{"format":{"type":"text"}}"#)?,
        })
    }

    pub(super) fn into_request(self) -> Result<CompletionRequest, ApiError> {
        if self.previous_response_id.is_some() {
            let message = "Nothing is stored. Send the conversation as `input`.";
            return Err(ApiError::unsupported("previous_response_id", message));
        }
        if self.background == Some(true) {
            return Err(ApiError::unsupported("background", "Answers are given at once."));
        }
        let instructions = self.instructions.as_deref().map(Message::system);
        let input = conversation(self.input.ok_or_else(|| ApiError::missing("input"))?)?;
        let mut request =
            CompletionRequest::new(instructions.into_iter().chain(input).collect()).with_model(self.model);
        let most = ("max_output_tokens", self.max_output_tokens);
        tools::sample(&mut request, self.temperature, self.top_p, most)?;
        request.tools = offered(read(self.tools.as_ref(), "tools")?)?;
        request.tool_choice = match read(self.tool_choice.as_ref(), "tool_choice")? {
            None => ToolChoice::Auto,
            Some(ResponseToolChoice::Mode(mode)) => tools::mode(&mode)?,
            Some(ResponseToolChoice::Tool { name }) => ToolChoice::Tool(name),
        };
        let text: Option<TextFields> = read(self.text.as_ref(), "text")?;
        if let Some(TextFormat { kind, name, schema }) = text.and_then(|text| text.format) {
            let schema = name.map(|name| JsonSchema { name, schema });
            request.response_format = tools::format(&kind, schema, "text.format")?;
        }
        let effort = self.reasoning.as_ref().and_then(|reasoning| reasoning.effort.as_deref());
        request.reasoning_effort = tools::effort(effort, "reasoning.effort")?;
        request.prompt_cache.key = self.prompt_cache_key;
        Ok(request)
    }
}

fn offered(tools: Option<Vec<ResponseTool>>) -> Result<Vec<ToolSpec>, ApiError> {
    let tools = tools.unwrap_or_default().into_iter().enumerate();
    tools
        .map(|(place, tool)| match tool {
            ResponseTool { kind, name: Some(name), description, parameters } if kind == "function" => {
                Function { name, description, parameters }.into_spec()
            }
            _ => Err(ApiError::unsupported(format!("tools[{place}]"), "Tools are functions.")),
        })
        .collect()
}

/// A field that is repeated as it came, read.
fn read<T: DeserializeOwned>(field: Option<&Json>, param: &'static str) -> Result<Option<T>, ApiError> {
    let Some(field) = field else { return Ok(None) };
    serde_json::from_str(field.as_str()).map_err(|error| ApiError::invalid_param(param, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::llm::{ReasoningEffort, ResponseFormat, Role};

    #[test]
    fn every_field_reaches_the_request() {
        let request = from(
            r#"{"model":"m","input":"hi","instructions":"be brief","max_output_tokens":7,"temperature":0.5,"top_p":0.9,
            "prompt_cache_key":"k","reasoning":{"effort":"low","summary":"auto"},"store":true,
            "tools":[{"type":"function","name":"look","description":"looks","parameters":{"type":"object"},"strict":true}],
            "tool_choice":{"type":"function","name":"look"},
            "text":{"format":{"type":"json_schema","name":"s","schema":{"type":"object"},"strict":true}}}"#,
        );
        let request = request.into_request().unwrap();
        assert_eq!(request.messages, [Message::system("be brief"), Message::user("hi")]);
        assert_eq!(request.messages[0].role, Role::System);
        assert_eq!((request.model.as_str(), request.max_tokens), ("m", Some(7)));
        assert_eq!((request.temperature, request.top_p), (Some(0.5), Some(0.9)));
        assert_eq!(request.reasoning_effort, Some(ReasoningEffort::Low));
        assert_eq!(request.prompt_cache.key.as_deref(), Some("k"));
        assert_eq!(request.tools[0].parameters.as_str(), r#"{"type":"object"}"#);
        assert_eq!(request.tool_choice, ToolChoice::Tool("look".to_owned()));
        assert!(matches!(request.response_format, ResponseFormat::JsonSchema { name, .. } if name == "s"));
    }

    #[test]
    fn an_object_may_be_asked_for_without_a_schema() {
        let request = from(r#"{"model":"m","input":"hi","text":{"format":{"type":"json_object"}}}"#);
        assert_eq!(request.into_request().unwrap().response_format, ResponseFormat::JsonObject);
    }

    #[test]
    fn what_cannot_be_answered_is_refused_by_name() {
        for (field, param) in [
            (r#""previous_response_id":"resp_1""#, "previous_response_id"),
            (r#""background":true"#, "background"),
            (r#""tools":[{"type":"web_search"}]"#, "tools[0]"),
            (r#""tools":7"#, "tools"),
            (r#""tool_choice":"sometimes""#, "tool_choice"),
            (r#""text":{"format":{"type":"yaml"}}"#, "text.format"),
            (r#""reasoning":{"effort":"much"}"#, "reasoning.effort"),
            (r#""max_output_tokens":0"#, "max_output_tokens"),
        ] {
            let error = from(&format!(r#"{{"model":"m","input":"hi",{field}}}"#)).into_request().unwrap_err();
            assert_eq!((error.status.as_u16(), error.body().error.param), (400, Some(param)), "{field}");
        }
    }

    #[test]
    fn tools_and_form_are_repeated_as_they_came() {
        let tools = r#"[{"type":"function","name":"look","x":1}]"#;
        let echo = from(&format!(r#"{{"tools":{tools}}}"#)).echo().unwrap();
        assert_eq!((echo.tools.as_str(), echo.tool_choice.as_str()), (tools, r#""auto""#));
    }

    fn from(body: &str) -> ResponseRequest {
        serde_json::from_str(body).unwrap()
    }
}
