//! `POST /v1/chat/completions`.

mod events;
mod messages;

use serde_json::{Value, json};

use super::openai_error::{invalid, missing, not_json, wrong_type};
use super::read::{given, items, texts};
use super::{CREATED, Dialect};
use crate::answer::{Answer, Finish, Usage};
use crate::body::Events;
use crate::prompt::{Caching, Choice, Format, Prompt, Segment, Thinking, Tool};
use crate::refusal::Refusal;
use crate::wire::Wire;

pub(crate) struct OpenAiChat;

impl Wire for OpenAiChat {
    fn dialect(&self) -> Dialect {
        Dialect::Openai
    }

    fn read(&self, body: &[u8]) -> Result<Prompt, Refusal> {
        let body: Value = serde_json::from_slice(body).map_err(|_| not_json())?;
        let model = model(&body)?;
        let mut prompt = Prompt { model, ..Prompt::default() };
        for (place, tool) in items(&body, "tools").enumerate() {
            let function = &tool["function"];
            prompt.tools.push(tool_of(function, &format!("tools[{place}].function"))?);
            prompt.segments.push(Segment::json("tool", function));
        }
        messages::read(&body, &mut prompt)?;
        prompt.choice = choice(&body, &prompt.tools, |choice| &choice["function"]["name"])?;
        prompt.one_call = body["parallel_tool_calls"] == false;
        prompt.format = format(&body, &prompt)?;
        let limit = if given(&body, "max_completion_tokens").is_some() {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        prompt.max_tokens = positive(&body, limit)?;
        check_ranges(&body)?;
        prompt.stop = texts(&body["stop"]);
        prompt.thinking = match body["reasoning_effort"].as_str() {
            None | Some("none") => Thinking::Off,
            Some(_) => Thinking::Hidden,
        };
        prompt.stream = body["stream"] == true;
        if given(&body, "stream_options").is_some() && !prompt.stream {
            let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(invalid(message, Some("stream_options"), None));
        }
        prompt.include_usage = body["stream_options"]["include_usage"] == true;
        prompt.obfuscate = body["stream_options"]["include_obfuscation"] != false;
        prompt.caching = caching(&body);
        Ok(prompt)
    }

    fn whole(&self, answer: &Answer, prompt: &Prompt) -> Value {
        let calls: Vec<Value> = answer
            .calls
            .iter()
            .map(|call| {
                let function = json!({"name": call.name, "arguments": call.arguments});
                json!({"id": format!("call_{}", call.id), "type": "function", "function": function})
            })
            .collect();
        let content = if calls.is_empty() { json!(answer.text()) } else { Value::Null };
        let mut message =
            json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        let finish = finish_reason(answer, prompt);
        json!({
            "id": format!("chatcmpl-{}", answer.id),
            "object": "chat.completion",
            "created": CREATED,
            "model": answer.model,
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
            "usage": usage(&answer.usage),
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
        })
    }

    fn events(&self, answer: Answer, prompt: &Prompt) -> Events {
        events::of(answer, prompt)
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.thinking,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// A call that was demanded by name ends with `stop`, as OpenAI's own do.
fn finish_reason(answer: &Answer, prompt: &Prompt) -> &'static str {
    match (&answer.finish, &prompt.choice) {
        (Finish::Tools, Choice::Named(_)) | (Finish::Stop | Finish::StopSequence(_), _) => "stop",
        (Finish::Tools, _) => "tool_calls",
        (Finish::Length, _) => "length",
    }
}

pub(super) fn model(body: &Value) -> Result<String, Refusal> {
    match given(body, "model") {
        Some(Value::String(model)) if !model.is_empty() => Ok(model.clone()),
        None | Some(Value::String(_)) => Err(invalid("you must provide a model parameter", None, None)),
        Some(other) => Err(wrong_type("model", "a string", other)),
    }
}

pub(super) fn tool_of(function: &Value, path: &str) -> Result<Tool, Refusal> {
    let param = format!("{path}.name");
    let name = function["name"].as_str().ok_or_else(|| missing(&param))?;
    let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if name.is_empty() || !name.chars().all(fits) {
        let message = format!(
            "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern \
             '^[a-zA-Z0-9_-]+$'."
        );
        return Err(invalid(&message, Some(&param), Some("invalid_value")));
    }
    if let Some(schema) = given(function, "parameters").filter(|schema| !schema.is_object()) {
        return Err(wrong_type(&format!("{path}.parameters"), "an object", schema));
    }
    Ok(Tool { name: name.to_owned(), schema: function["parameters"].clone() })
}

pub(super) fn choice(
    body: &Value,
    tools: &[Tool],
    name: impl Fn(&Value) -> &Value,
) -> Result<Choice, Refusal> {
    let Some(choice) = given(body, "tool_choice") else { return Ok(Choice::Auto) };
    if tools.is_empty() && choice != "none" {
        let message =
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.";
        return Err(invalid(message, Some("tool_choice"), None));
    }
    match choice.as_str() {
        Some("auto") => return Ok(Choice::Auto),
        Some("none") => return Ok(Choice::None),
        Some("required") => return Ok(Choice::Required),
        _ => {}
    }
    match name(choice).as_str() {
        Some(name) if tools.iter().any(|tool| tool.name == name) => Ok(Choice::Named(name.to_owned())),
        Some(name) => {
            let message = format!("Tool choice 'function' '{name}' not found in 'tools' parameter.");
            Err(invalid(&message, Some("tool_choice"), None))
        }
        None => {
            let message =
                format!("Invalid value: {choice}. Supported values are: 'none', 'auto', and 'required'.");
            Err(invalid(&message, Some("tool_choice"), Some("invalid_value")))
        }
    }
}

fn format(body: &Value, prompt: &Prompt) -> Result<Format, Refusal> {
    let format = &body["response_format"];
    match format["type"].as_str() {
        None if format.is_object() => Err(missing("response_format.type")),
        None | Some("text") => Ok(Format::Text),
        Some("json_object") => json_object(prompt, "messages"),
        Some("json_schema") => schema(&format["json_schema"], "response_format.json_schema"),
        Some(other) => {
            let message = format!(
                "Invalid value: '{other}'. Supported values are: 'json_object', 'json_schema', and 'text'."
            );
            Err(invalid(&message, Some("response_format.type"), Some("invalid_value")))
        }
    }
}

pub(super) fn json_object(prompt: &Prompt, param: &str) -> Result<Format, Refusal> {
    let says_json =
        |segment: &Segment| segment.bytes.windows(4).any(|word| word.eq_ignore_ascii_case(b"json"));
    if prompt.segments.iter().any(says_json) {
        return Ok(Format::Object);
    }
    let message = format!(
        "'{param}' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    );
    Err(invalid(&message, Some(param), None))
}

pub(super) fn schema(format: &Value, path: &str) -> Result<Format, Refusal> {
    let name = format["name"].as_str().ok_or_else(|| missing(&format!("{path}.name")))?;
    let schema = given(format, "schema").ok_or_else(|| missing(&format!("{path}.schema")))?;
    if format["strict"] == true && schema["additionalProperties"] != false {
        let message = format!(
            "Invalid schema for response_format '{name}': In context=(), 'additionalProperties' is required to be \
             supplied and to be false."
        );
        return Err(invalid(&message, Some("response_format"), None));
    }
    Ok(Format::Schema(schema.clone()))
}

pub(super) fn positive(body: &Value, name: &str) -> Result<Option<u64>, Refusal> {
    match given(body, name) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(number) if number >= 1 => Ok(Some(number.unsigned_abs())),
            Some(number) => {
                let message = format!(
                    "Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {number} instead."
                );
                Err(invalid(&message, Some(name), Some("integer_below_min_value")))
            }
            None => Err(wrong_type(name, "an integer", value)),
        },
    }
}

pub(super) fn check_ranges(body: &Value) -> Result<(), Refusal> {
    for (name, least, most) in
        [("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0), ("n", 1.0, 1.0), ("presence_penalty", -2.0, 2.0)]
    {
        let Some(value) = given(body, name) else { continue };
        let number = value.as_f64().ok_or_else(|| wrong_type(name, "a decimal", value))?;
        let (relation, side, bound) = match number {
            number if number < least => (">=", "below minimum", least),
            number if number > most => ("<=", "above maximum", most),
            _ => continue,
        };
        let code = format!("decimal_{}_value", if relation == ">=" { "below_min" } else { "above_max" });
        let message = format!(
            "Invalid '{name}': decimal {side} value. Expected a value {relation} {bound}, but got {number} instead."
        );
        return Err(invalid(&message, Some(name), Some(&code)));
    }
    Ok(())
}

pub(super) fn caching(body: &Value) -> Caching {
    Caching::Blocks { key: body["prompt_cache_key"].as_str().unwrap_or_default().to_owned() }
}
