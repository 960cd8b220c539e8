use serde_json::Value;

use super::super::openai_error::{invalid, missing, wrong_type};
use super::super::read::given;
use super::no_input;
use crate::prompt::{Prompt, Segment};
use crate::refusal::Refusal;

pub(super) fn read(body: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    let list = match given(body, "input") {
        None => return Err(no_input()),
        Some(Value::String(text)) => {
            prompt.segments.push(Segment::text("user", text));
            return Ok(());
        }
        Some(Value::Array(list)) if list.is_empty() => return Err(no_input()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong_type("input", "one of a string or array of objects", other)),
    };
    let mut open: Vec<&str> = Vec::new();
    for (place, item) in list.iter().enumerate() {
        let call_id = || item["call_id"].as_str().ok_or_else(|| missing(&format!("input[{place}].call_id")));
        prompt.after_tool = false;
        match item["type"].as_str().unwrap_or("message") {
            "message" => message(item, place, prompt)?,
            "function_call" => {
                open.push(call_id()?);
                prompt
                    .segments
                    .push(Segment::json("assistant", &serde_json::json!([item["name"], item["arguments"]])));
            }
            "function_call_output" => {
                let id = call_id()?;
                let Some(found) = open.iter().position(|open| *open == id) else {
                    let message = format!("No tool call found for function call output with call_id {id}.");
                    return Err(invalid(&message, Some("input"), None));
                };
                open.remove(found);
                prompt.segments.push(Segment::json("tool", &item["output"]));
                prompt.after_tool = true;
            }
            "reasoning" => prompt.segments.push(Segment::json("assistant", &item["summary"])),
            other => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'message', 'function_call', \
                     'function_call_output', and 'reasoning'."
                );
                return Err(invalid(&message, Some(&format!("input[{place}]")), Some("invalid_value")));
            }
        }
    }
    match open.first() {
        None => Ok(()),
        Some(id) => {
            Err(invalid(&format!("No tool output found for function call {id}."), Some("input"), None))
        }
    }
}

fn message(item: &Value, place: usize, prompt: &mut Prompt) -> Result<(), Refusal> {
    let role = match item["role"].as_str() {
        Some(role @ ("user" | "assistant" | "system" | "developer")) => role,
        Some(other) => {
            let message = format!(
                "Invalid value: '{other}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
            );
            return Err(invalid(&message, Some(&format!("input[{place}].role")), Some("invalid_value")));
        }
        None => return Err(missing(&format!("input[{place}].role"))),
    };
    match given(item, "content") {
        None => Err(missing(&format!("input[{place}].content"))),
        Some(Value::String(text)) => {
            prompt.segments.push(Segment::text(role, text));
            Ok(())
        }
        Some(Value::Array(parts)) => {
            for (number, part) in parts.iter().enumerate() {
                let path = format!("input[{place}].content[{number}]");
                prompt.segments.push(self::part(part, role, &path)?);
            }
            Ok(())
        }
        Some(other) => {
            Err(wrong_type(&format!("input[{place}].content"), "one of a string or array of objects", other))
        }
    }
}

/// The assistant's own texts are output, all others input.
fn part(part: &Value, role: &str, path: &str) -> Result<Segment, Refusal> {
    let text = if role == "assistant" { "output_text" } else { "input_text" };
    match part["type"].as_str() {
        Some(kind) if kind == text => match part["text"].as_str() {
            Some(text) => Ok(Segment::text(role, text)),
            None => Err(missing(&format!("{path}.text"))),
        },
        Some("refusal") => Ok(Segment::json(role, &part["refusal"])),
        Some("input_image" | "input_file" | "input_audio") => Ok(Segment::media(role, part)),
        Some(other) => {
            let message = format!(
                "Invalid value: '{other}'. Supported values are: '{text}', 'input_image', 'input_file', and 'refusal'."
            );
            Err(invalid(&message, Some(path), Some("invalid_value")))
        }
        None => Err(missing(&format!("{path}.type"))),
    }
}
