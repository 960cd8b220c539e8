//! `POST /v1/messages` and `/v1/messages/count_tokens`.

mod content;
mod events;

use std::time::Duration;

use hyper::HeaderMap;
use serde_json::{Value, json};

use super::Dialect;
use super::error::anthropic_error;
use super::read::{given, items, texts};
use crate::answer::{Answer, Call, Finish, Usage};
use crate::body::Events;
use crate::prompt::{Caching, Choice, Format, Prompt, Segment, Thinking, Tool};
use crate::refusal::Refusal;
use crate::wire::Wire;

const MOST_BREAKPOINTS: usize = 4;
const LEAST_THINKING: u64 = 1_024;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Anthropic {
    Messages,
    /// The prompt is counted, and not answered.
    CountTokens,
}

impl Wire for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match headers.get("anthropic-version").and_then(|version| version.to_str().ok()) {
            Some("2023-06-01" | "2023-01-01") => Ok(()),
            Some(other) => Err(invalid(&format!(
                "anthropic-version: \"{other}\" is not a valid version. Please use a supported version."
            ))),
            None => Err(invalid("anthropic-version: header is required")),
        }
    }

    fn read(&self, body: &[u8]) -> Result<Prompt, Refusal> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| invalid(&format!("The request body is not valid JSON: {error}")))?;
        let model = match given(&body, "model") {
            Some(Value::String(model)) if !model.is_empty() => model.clone(),
            None => return Err(field_required("model")),
            Some(Value::String(_)) => return Err(invalid("model: String should have at least 1 character")),
            Some(_) => return Err(invalid("model: Input should be a valid string")),
        };
        let mut prompt = Prompt { model, caching: Caching::Breakpoints, ..Prompt::default() };
        if *self == Self::Messages {
            prompt.max_tokens = Some(max_tokens(&body)?);
        }
        for (place, tool) in items(&body, "tools").enumerate() {
            let name =
                tool["name"].as_str().ok_or_else(|| field_required(&format!("tools.{place}.custom.name")))?;
            let schema = given(tool, "input_schema")
                .ok_or_else(|| field_required(&format!("tools.{place}.custom.input_schema")))?;
            prompt.tools.push(Tool { name: name.to_owned(), schema: schema.clone() });
            let segment = Segment::json("tool", &json!([name, tool["description"], schema]));
            prompt.segments.push(Segment { breakpoint: breakpoint(tool), ..segment });
        }
        content::read_system(&body, &mut prompt)?;
        content::read_messages(&body, &mut prompt)?;
        if prompt.segments.iter().filter(|segment| segment.breakpoint.is_some()).count() > MOST_BREAKPOINTS {
            let found = prompt.segments.iter().filter(|segment| segment.breakpoint.is_some()).count();
            let message = format!(
                "A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {found}."
            );
            return Err(invalid(&message));
        }
        read_choice(&body, &mut prompt)?;
        read_thinking(&body, &mut prompt)?;
        if let Some(number) = body["temperature"].as_f64().filter(|number| !(0.0..=1.0).contains(number)) {
            return Err(invalid(&format!("temperature: range: 0..1, got {number}")));
        }
        let format = given(&body["output_config"], "format").or_else(|| given(&body, "output_format"));
        if let Some(format) = format {
            match (format["type"].as_str(), given(format, "schema")) {
                (Some("json_schema"), Some(schema)) => prompt.format = Format::Schema(schema.clone()),
                (Some("json_schema"), None) => return Err(field_required("output_config.format.schema")),
                _ => return Err(invalid("output_config.format.type: Input should be 'json_schema'")),
            }
        }
        prompt.stop = texts(&body["stop_sequences"]);
        prompt.stream = body["stream"] == true;
        Ok(prompt)
    }

    fn whole(&self, answer: &Answer, _: &Prompt) -> Value {
        let mut content = Vec::new();
        if !answer.thinking.is_empty() {
            let signature = signature(answer);
            content.push(json!({"type": "thinking", "thinking": answer.thoughts(), "signature": signature}));
        }
        if !answer.text.is_empty() {
            content.push(json!({"type": "text", "text": answer.text()}));
        }
        content.extend(answer.calls.iter().map(|call| {
            let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
            json!({"type": "tool_use", "id": call_id(call), "name": call.name, "input": input})
        }));
        let (stop_reason, stop_sequence) = stop(&answer.finish);
        let mut message = message(answer, answer.usage.output);
        message["content"] = Value::Array(content);
        message["stop_reason"] = json!(stop_reason);
        message["stop_sequence"] = json!(stop_sequence);
        message
    }

    fn events(&self, answer: Answer, _: &Prompt) -> Events {
        events::of(answer)
    }

    fn error_event(&self, error: &Value, _: u64) -> String {
        format!("event: error\ndata: {error}\n\n")
    }

    fn garbage_event(&self) -> &'static str {
        "event: content_block_delta\ndata: {\"type\": no json\n\n"
    }
}

/// The message as it begins.
fn message(answer: &Answer, output: u64) -> Value {
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage(&answer.usage, output),
    })
}

/// Tokens that were read from a cache or written to it are not input tokens.
fn usage(usage: &Usage, output: u64) -> Value {
    let written = usage.written + usage.written_for_long;
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached + written),
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.written,
            "ephemeral_1h_input_tokens": usage.written_for_long,
        },
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn stop(finish: &Finish) -> (&'static str, Option<&str>) {
    match finish {
        Finish::Stop => ("end_turn", None),
        Finish::StopSequence(sequence) => ("stop_sequence", Some(sequence)),
        Finish::Length => ("max_tokens", None),
        Finish::Tools => ("tool_use", None),
    }
}

fn call_id(call: &Call) -> String {
    format!("toolu_{}", call.id)
}

fn signature(answer: &Answer) -> String {
    format!("sig{}", answer.id)
}

fn max_tokens(body: &Value) -> Result<u64, Refusal> {
    let value = given(body, "max_tokens").ok_or_else(|| field_required("max_tokens"))?;
    match value.as_i64() {
        Some(number) if number >= 1 => Ok(number.unsigned_abs()),
        Some(_) => Err(invalid("max_tokens: must be greater than or equal to 1")),
        None => Err(invalid("max_tokens: Input should be a valid integer")),
    }
}

fn read_choice(body: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    let Some(choice) = given(body, "tool_choice") else { return Ok(()) };
    if prompt.tools.is_empty() && choice["type"] != "none" {
        return Err(invalid("tool_choice: tool_choice may only be specified while providing tools"));
    }
    prompt.one_call = choice["disable_parallel_tool_use"] == true;
    prompt.choice = match (choice["type"].as_str(), choice["name"].as_str()) {
        (Some("auto"), _) => Choice::Auto,
        (Some("any"), _) => Choice::Required,
        (Some("none"), _) => Choice::None,
        (Some("tool"), Some(name)) if prompt.tools.iter().any(|tool| tool.name == name) => {
            Choice::Named(name.to_owned())
        }
        (Some("tool"), Some(name)) => {
            return Err(invalid(&format!(
                "tool_choice.tool.name: Tool '{name}' not found in provided tools"
            )));
        }
        (Some("tool"), None) => return Err(field_required("tool_choice.tool.name")),
        (Some(other), _) => {
            return Err(invalid(&format!(
                "tool_choice: Input tag '{other}' found using 'type' does not match any of the expected tags: 'auto', \
                 'any', 'tool', 'none'"
            )));
        }
        (None, _) => return Err(field_required("tool_choice.type")),
    };
    Ok(())
}

fn read_thinking(body: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    match body["thinking"]["type"].as_str() {
        Some("enabled") => {
            let budget = body["thinking"]["budget_tokens"]
                .as_u64()
                .ok_or_else(|| field_required("thinking.enabled.budget_tokens"))?;
            if budget < LEAST_THINKING {
                let message = format!(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to {LEAST_THINKING}"
                );
                return Err(invalid(&message));
            }
            if prompt.max_tokens.is_some_and(|most| most <= budget) {
                return Err(invalid("`max_tokens` must be greater than `thinking.budget_tokens`."));
            }
        }
        Some("adaptive") => {}
        _ => return Ok(()),
    }
    if matches!(prompt.choice, Choice::Required | Choice::Named(_)) {
        return Err(invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    prompt.thinking = Thinking::Shown;
    Ok(())
}

/// How long the prompt is to be cached up to this block.
fn breakpoint(block: &Value) -> Option<Duration> {
    let control = given(block, "cache_control")?;
    let minutes = if control["ttl"] == "1h" { 60 } else { 5 };
    Some(Duration::from_secs(60 * minutes))
}

fn field_required(field: &str) -> Refusal {
    invalid(&format!("{field}: Field required"))
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, anthropic_error(400, message))
}
