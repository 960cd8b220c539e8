use agentscale::core::llm::{CompletionRequest, ToolChoice};
use serde::Deserialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::message::{ChatMessage, conversation};
use crate::api::error::ApiError;
use crate::api::tools::{self, Function, JsonSchema};

/// A conversation to go on with. Fields that are not named here are passed over.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChatRequest {
    /// A model, or a hint that stands for one.
    #[serde(default)]
    pub(crate) model: String,
    #[serde(default)]
    messages: Vec<ChatMessage>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    tools: Option<Vec<ChatTool>>,
    #[serde(default)]
    tool_choice: Option<ChatToolChoice>,
    #[serde(default)]
    response_format: Option<ChatFormat>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    /// The name of `max_completion_tokens` before.
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f32>,
    #[serde(default)]
    top_p: Option<f32>,
    #[serde(default)]
    stop: Option<Stop>,
    #[serde(default)]
    seed: Option<i64>,
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`.
    #[serde(default)]
    reasoning_effort: Option<String>,
    /// Calls of one key go to one key of the provider, whose prompt cache knows them.
    #[serde(default)]
    prompt_cache_key: Option<String>,
    /// In the place of `prompt_cache_key` where there is none.
    #[serde(default)]
    user: Option<String>,
    /// 1 is what there is.
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    logprobs: Option<bool>,
    /// `text` is what there is.
    #[serde(default)]
    modalities: Option<Vec<String>>,
    /// Tools as they were named before, which are refused.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    functions: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ChatTool {
    #[serde(rename = "type")]
    kind: String,
    function: Option<Function>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum ChatToolChoice {
    /// `none`, `auto`, `required`.
    Mode(String),
    Tool {
        function: ToolName,
    },
}

#[derive(Debug, Deserialize, ToSchema)]
struct ToolName {
    name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ChatFormat {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    json_schema: Option<JsonSchema>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Stop {
    One(String),
    Several(Vec<String>),
}

impl ChatRequest {
    pub(super) fn stream(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    pub(super) fn include_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }

    /// What may name the session of the call, the best first.
    pub(super) fn sessions(&self) -> [Option<&str>; 2] {
        [self.prompt_cache_key.as_deref(), self.user.as_deref()]
    }

    pub(super) fn into_request(self) -> Result<CompletionRequest, ApiError> {
        if self.n.is_some_and(|n| n != 1) {
            return Err(ApiError::unsupported("n", "One answer is what there is to a request."));
        }
        if self.logprobs == Some(true) {
            return Err(ApiError::unsupported("logprobs", "There are no log probabilities."));
        }
        if self.modalities.iter().flatten().any(|kind| kind != "text") {
            return Err(ApiError::unsupported("modalities", "Answers are text."));
        }
        if self.functions.is_some() {
            return Err(ApiError::unsupported("functions", "Functions are offered as `tools`."));
        }
        if self.messages.is_empty() {
            return Err(ApiError::missing("messages"));
        }
        let mut request = CompletionRequest::new(conversation(self.messages)?).with_model(self.model);
        let max_tokens = match self.max_completion_tokens {
            Some(most) => ("max_completion_tokens", Some(most)),
            None => ("max_tokens", self.max_tokens),
        };
        tools::sample(&mut request, self.temperature, self.top_p, max_tokens)?;
        let offered = self.tools.unwrap_or_default().into_iter().enumerate();
        request.tools = offered
            .map(|(place, tool)| match tool {
                ChatTool { kind, function: Some(function) } if kind == "function" => function.into_spec(),
                _ => Err(ApiError::unsupported(format!("tools[{place}]"), "Tools are functions.")),
            })
            .collect::<Result<_, _>>()?;
        request.tool_choice = self.tool_choice.map_or(Ok(ToolChoice::Auto), |choice| match choice {
            ChatToolChoice::Mode(mode) => tools::mode(&mode),
            ChatToolChoice::Tool { function } => Ok(ToolChoice::Tool(function.name)),
        })?;
        if let Some(ChatFormat { kind, json_schema }) = self.response_format {
            request.response_format = tools::format(&kind, json_schema, "response_format")?;
        }
        request.stop = match self.stop {
            None => Vec::new(),
            Some(Stop::One(text)) => vec![text],
            Some(Stop::Several(texts)) => texts,
        };
        request.seed = self.seed.map(i64::cast_unsigned);
        request.reasoning_effort = tools::effort(self.reasoning_effort.as_deref(), "reasoning_effort")?;
        request.prompt_cache.key = self.prompt_cache_key;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::llm::{ReasoningEffort, ResponseFormat};

    #[test]
    fn every_field_reaches_the_request() {
        let request = read(
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":7,"temperature":0.5,
            "top_p":0.9,"stop":"END","seed":-1,"reasoning_effort":"low","prompt_cache_key":"k","user":"u","n":1,
            "tools":[{"type":"function","function":{"name":"look","description":"looks","parameters":{"type":"object"}}}],
            "tool_choice":{"type":"function","function":{"name":"look"}},
            "response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object"}}},
            "store":true,"something_new":[1]}"#,
        );
        let request = request.into_request().unwrap();
        assert_eq!((request.model.as_str(), request.max_tokens), ("m", Some(7)));
        assert_eq!((request.temperature, request.top_p), (Some(0.5), Some(0.9)));
        assert_eq!((request.stop, request.seed), (vec!["END".to_owned()], Some(u64::MAX)));
        assert_eq!(request.reasoning_effort, Some(ReasoningEffort::Low));
        assert_eq!(request.prompt_cache.key.as_deref(), Some("k"));
        assert_eq!(request.tools[0].parameters.as_str(), r#"{"type":"object"}"#);
        assert_eq!(request.tool_choice, ToolChoice::Tool("look".to_owned()));
        assert!(matches!(request.response_format, ResponseFormat::JsonSchema { name, .. } if name == "s"));
    }

    #[test]
    fn an_object_may_be_asked_for_without_a_schema() {
        let asked = r#""messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_object"}"#;
        let request = read(&format!(r#"{{"model":"m",{asked}}}"#)).into_request().unwrap();
        assert_eq!(request.response_format, ResponseFormat::JsonObject);
    }

    #[test]
    fn a_session_is_the_cache_key_before_the_user() {
        let request = read(r#"{"model":"m","user":"u","prompt_cache_key":"k"}"#);
        assert_eq!(request.sessions().into_iter().flatten().next(), Some("k"));
    }

    #[test]
    fn what_cannot_be_answered_is_refused_by_name() {
        for (field, param) in [
            (r#""n":2"#, "n"),
            (r#""logprobs":true"#, "logprobs"),
            (r#""modalities":["text","audio"]"#, "modalities"),
            (r#""functions":[{"name":"look"}]"#, "functions"),
            (r#""temperature":3"#, "temperature"),
            (r#""top_p":0"#, "top_p"),
            (r#""max_tokens":0"#, "max_tokens"),
            (r#""reasoning_effort":"much""#, "reasoning_effort"),
            (r#""response_format":{"type":"yaml"}"#, "response_format"),
            (r#""response_format":{"type":"json_schema"}"#, "response_format"),
            (r#""tools":[{"type":"custom"}]"#, "tools[0]"),
            (r#""tool_choice":"sometimes""#, "tool_choice"),
        ] {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{field}}}"#);
            let error = read(&body).into_request().unwrap_err();
            assert_eq!(error.status, 400, "{field}");
            assert_eq!(error.body().error.param, Some(param), "{field}");
        }
    }

    #[test]
    fn a_field_that_is_null_is_as_one_that_is_left_out() {
        let request = read(
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"modalities":null,"functions":null,
            "stream_options":{"include_usage":null}}"#,
        );
        assert!(!request.include_usage());
        assert!(request.into_request().is_ok());
    }

    fn read(body: &str) -> ChatRequest {
        serde_json::from_str(body).unwrap()
    }
}
