//! `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`, the latter with `alt=sse` or as an array.

mod contents;
mod embed;
mod events;

use serde_json::{Value, json};

use super::Dialect;
use super::error::gemini_error;
use super::read::texts;
use crate::answer::{Answer, Finish, Usage};
use crate::body::Events;
use crate::prompt::{Caching, Choice, Format, Prompt, Segment, Thinking, Tool};
use crate::refusal::Refusal;
use crate::wire::Wire;

pub(crate) use contents::read as read_contents;
pub(crate) use embed::GeminiEmbeddings;

#[derive(Debug)]
pub(crate) struct Gemini {
    pub(crate) model: String,
    pub(crate) framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Framing {
    Whole,
    Sse,
    /// One array, element by element.
    Array,
}

impl Wire for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn read(&self, body: &[u8]) -> Result<Prompt, Refusal> {
        let body = parse(body)?;
        let mut prompt = Prompt { model: self.model.clone(), ..Prompt::default() };
        read_contents(&body, &mut prompt, "GenerateContentRequest")?;
        prompt.resource = field(&body, "cachedContent").as_str().map(str::to_owned);
        let config = field(&body, "toolConfig");
        if prompt.resource.is_some()
            && [field(&body, "systemInstruction"), field(&body, "tools"), config]
                .iter()
                .any(|part| !part.is_null())
        {
            return Err(invalid(
                "CachedContent can not be used with GenerateContent request setting system_instruction, tools or \
                 tool_config.\n\nProposed fix: move those values to CachedContent from GenerateContent request.",
            ));
        }
        prompt.choice = choice(field(config, "functionCallingConfig"), &prompt)?;
        read_config(field(&body, "generationConfig"), &mut prompt)?;
        prompt.stream = self.framing != Framing::Whole;
        prompt.caching = Caching::Blocks { key: String::new() };
        Ok(prompt)
    }

    fn whole(&self, answer: &Answer, _: &Prompt) -> Value {
        let mut parts = Vec::new();
        if !answer.thinking.is_empty() {
            parts.push(json!({"text": answer.thoughts(), "thought": true}));
        }
        if !answer.text.is_empty() {
            parts.push(json!({"text": answer.text()}));
        }
        parts.extend(calls(answer));
        json!({
            "candidates": [{
                "content": {"parts": parts, "role": "model"},
                "finishReason": finish_reason(answer),
                "index": 0,
            }],
            "usageMetadata": usage(&answer.usage),
            "modelVersion": answer.model,
            "responseId": answer.id,
        })
    }

    fn events(&self, answer: Answer, _: &Prompt) -> Events {
        events::of(&answer, self.framing)
    }

    fn stream_type(&self) -> &'static str {
        match self.framing {
            Framing::Sse => "text/event-stream",
            Framing::Array | Framing::Whole => "application/json; charset=UTF-8",
        }
    }

    fn error_event(&self, error: &Value, after: u64) -> String {
        match self.framing {
            Framing::Array if after == 0 => format!("[{error}]"),
            Framing::Array => format!(",\r\n{error}]"),
            Framing::Sse | Framing::Whole => format!("data: {error}\r\n\r\n"),
        }
    }

    fn garbage_event(&self) -> &'static str {
        "data: {\"candidates\": no json\r\n\r\n"
    }
}

/// Each with the signature that must come back.
fn calls(answer: &Answer) -> Vec<Value> {
    let part = |(place, call): (usize, &crate::answer::Call)| {
        let args: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let mut part = json!({"functionCall": {"name": call.name, "args": args, "id": call.id}});
        if place == 0 {
            part["thoughtSignature"] = json!(format!("sig{}", answer.id));
        }
        part
    };
    answer.calls.iter().enumerate().map(part).collect()
}

/// Calls end with `STOP` too.
fn finish_reason(answer: &Answer) -> &'static str {
    if answer.finish == Finish::Length { "MAX_TOKENS" } else { "STOP" }
}

/// Thoughts are not candidates' tokens; cached ones are the prompt's.
fn usage(usage: &Usage) -> Value {
    let mut metadata = json!({
        "promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output - usage.thinking,
        "totalTokenCount": usage.input + usage.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}],
    });
    if usage.thinking > 0 {
        metadata["thoughtsTokenCount"] = json!(usage.thinking);
    }
    if usage.cached > 0 {
        metadata["cachedContentTokenCount"] = json!(usage.cached);
        metadata["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": usage.cached}]);
    }
    metadata
}

fn choice(config: &Value, prompt: &Prompt) -> Result<Choice, Refusal> {
    let allowed = texts(field(config, "allowedFunctionNames"));
    match config["mode"].as_str() {
        None | Some("AUTO" | "MODE_UNSPECIFIED" | "VALIDATED") => Ok(Choice::Auto),
        Some("NONE") => Ok(Choice::None),
        Some("ANY") if prompt.tools.is_empty() => {
            Err(invalid("Function calling config is set without function_declarations."))
        }
        Some("ANY") => match allowed.first() {
            None => Ok(Choice::Required),
            Some(name) if prompt.tools.iter().any(|tool| tool.name == *name) => {
                Ok(Choice::Named(name.clone()))
            }
            Some(name) => Err(invalid(&format!(
                "allowed_function_names contains `{name}`, which is not a declared function."
            ))),
        },
        Some(other) => Err(invalid(&format!(
            "Invalid value at 'tool_config.function_calling_config.mode' \
             (type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode), \"{other}\""
        ))),
    }
}

fn read_config(config: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    prompt.max_tokens = match field(config, "maxOutputTokens") {
        Value::Null => None,
        value => match value.as_u64().filter(|most| *most > 0) {
            Some(most) => Some(most),
            None => {
                return Err(invalid(
                    "* GenerateContentRequest.generation_config.max_output_tokens: must be positive.",
                ));
            }
        },
    };
    if let Some(number) = config["temperature"].as_f64().filter(|number| !(0.0..=2.0).contains(number)) {
        return Err(invalid(&format!(
            "* GenerateContentRequest.generation_config.temperature: {number} is not in the range [0.0, 2.0]."
        )));
    }
    prompt.stop = texts(field(config, "stopSequences"));
    let schema = [field(config, "responseJsonSchema"), field(config, "responseSchema")]
        .into_iter()
        .find(|schema| !schema.is_null());
    prompt.format = match (field(config, "responseMimeType").as_str(), schema) {
        (Some("application/json"), Some(schema)) => Format::Schema(schema.clone()),
        (Some("application/json"), None) => Format::Object,
        (_, Some(_)) => {
            return Err(invalid(
                "Response schema is only supported with response mime type: application/json",
            ));
        }
        (_, None) => Format::Text,
    };
    let thinking = field(config, "thinkingConfig");
    let asked = !field(thinking, "thinkingBudget").is_null() || !field(thinking, "thinkingLevel").is_null();
    prompt.thinking =
        match (field(thinking, "includeThoughts") == true, field(thinking, "thinkingBudget").as_i64()) {
            (_, Some(0)) => Thinking::Off,
            (true, _) => Thinking::Shown,
            (false, _) if asked => Thinking::Hidden,
            (false, _) => Thinking::Off,
        };
    Ok(())
}

/// A field under its name, or as protocol buffers spell it.
pub(crate) fn field<'v>(object: &'v Value, name: &str) -> &'v Value {
    if let Some(value) = object.get(name) {
        return value;
    }
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    &object[snake.as_str()]
}

pub(crate) fn parse(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| invalid(&format!("Invalid JSON payload received. {error}")))
}

pub(crate) fn invalid(message: &str) -> Refusal {
    Refusal::new(400, gemini_error(400, message))
}

pub(crate) fn tools(body: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    for tool in field(body, "tools").as_array().into_iter().flatten() {
        for declared in field(tool, "functionDeclarations").as_array().into_iter().flatten() {
            let name = declared["name"].as_str().filter(|name| !name.is_empty()).ok_or_else(|| {
                invalid("* GenerateContentRequest.tools[0].function_declarations[0].name: [FIELD_INVALID]")
            })?;
            let schema = [field(declared, "parametersJsonSchema"), &declared["parameters"]];
            let schema = schema.into_iter().find(|schema| !schema.is_null()).cloned().unwrap_or_default();
            prompt.tools.push(Tool { name: name.to_owned(), schema });
            prompt.segments.push(Segment::json("tool", declared));
        }
    }
    Ok(())
}
