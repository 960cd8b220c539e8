use serde_json::Value;

use super::super::openai_error::{invalid, missing, wrong_type};
use super::super::read::{given, items};
use crate::prompt::{Prompt, Segment};
use crate::refusal::Refusal;

const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];

pub(super) fn read(body: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    let messages = match given(body, "messages") {
        None => return Err(missing("messages")),
        Some(Value::Array(messages)) => messages,
        Some(other) => return Err(wrong_type("messages", "an array of objects", other)),
    };
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty \
                       array instead.";
        return Err(invalid(message, Some("messages"), Some("empty_array")));
    }
    let mut open = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let role = role(message, place)?;
        if role == "tool" {
            close(&mut open, message, place)?;
        } else {
            refuse_open(&open)?;
            open = items(message, "tool_calls").filter_map(|call| call["id"].as_str()).collect();
        }
        content(message, role, place, prompt)?;
    }
    refuse_open(&open)?;
    prompt.after_tool = messages.last().is_some_and(|message| message["role"] == "tool");
    Ok(())
}

fn role(message: &Value, place: usize) -> Result<&str, Refusal> {
    let param = format!("messages[{place}].role");
    match given(message, "role") {
        None => Err(missing(&param)),
        Some(role) => match role.as_str().filter(|role| ROLES.contains(role)) {
            Some(role) => Ok(role),
            None => {
                let message = format!(
                    "Invalid value: '{}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', \
                     and 'developer'.",
                    role.as_str().unwrap_or_default()
                );
                Err(invalid(&message, Some(&param), Some("invalid_value")))
            }
        },
    }
}

/// Takes the call that a result belongs to off the open ones.
fn close(open: &mut Vec<&str>, message: &Value, place: usize) -> Result<(), Refusal> {
    let param = format!("messages.[{place}].role");
    let id = message["tool_call_id"]
        .as_str()
        .ok_or_else(|| missing(&format!("messages[{place}].tool_call_id")))?;
    match open.iter().position(|call| *call == id) {
        Some(found) => {
            open.remove(found);
            Ok(())
        }
        None => {
            let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message \
                           with 'tool_calls'.";
            Err(invalid(message, Some(&param), None))
        }
    }
}

fn refuse_open(open: &[&str]) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
         The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(invalid(&message, Some("messages"), None))
}

fn content(message: &Value, role: &str, place: usize, prompt: &mut Prompt) -> Result<(), Refusal> {
    let param = format!("messages[{place}].content");
    let calls = given(message, "tool_calls");
    match given(message, "content") {
        Some(Value::String(text)) => prompt.segments.push(Segment::text(role, text)),
        Some(Value::Array(parts)) => {
            for (number, part) in parts.iter().enumerate() {
                prompt.segments.push(self::part(part, role, &format!("{param}[{number}]"))?);
            }
        }
        Some(other) => {
            return Err(wrong_type(&param, "one of a string or array of objects", other));
        }
        None if calls.is_some() => {}
        None => {
            let message =
                format!("Invalid value for 'content': expected a string, got null. (param: {param})");
            return Err(invalid(&message, Some(&param), None));
        }
    }
    if let Some(calls) = calls {
        prompt.segments.push(Segment::json(role, calls));
    }
    Ok(())
}

fn part(part: &Value, role: &str, param: &str) -> Result<Segment, Refusal> {
    match part["type"].as_str() {
        Some("text") => match part["text"].as_str() {
            Some(text) => Ok(Segment::text(role, text)),
            None => Err(missing(&format!("{param}.text"))),
        },
        Some("refusal") => Ok(Segment::json(role, &part["refusal"])),
        Some("image_url") if part["image_url"]["url"].is_string() => Ok(Segment::media(role, part)),
        Some("image_url") => Err(missing(&format!("{param}.image_url.url"))),
        Some("input_audio" | "file") => Ok(Segment::media(role, part)),
        Some(other) => {
            let message = format!(
                "Invalid value: '{other}'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', and \
                 'file'."
            );
            Err(invalid(&message, Some(&format!("{param}.type")), Some("invalid_value")))
        }
        None => Err(missing(&format!("{param}.type"))),
    }
}
