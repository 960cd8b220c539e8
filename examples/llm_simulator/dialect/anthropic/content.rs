use serde_json::Value;

use super::super::read::{given, items};
use super::{breakpoint, field_required, invalid};
use crate::prompt::{Prompt, Segment};
use crate::refusal::Refusal;

pub(super) fn read_system(body: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    match given(body, "system") {
        None => {}
        Some(Value::String(text)) => prompt.segments.push(Segment::text("system", text)),
        Some(Value::Array(blocks)) => {
            for (place, block) in blocks.iter().enumerate() {
                let text =
                    block["text"].as_str().ok_or_else(|| field_required(&format!("system.{place}.text")))?;
                let segment = Segment::text("system", text);
                prompt.segments.push(Segment { breakpoint: breakpoint(block), ..segment });
            }
        }
        Some(_) => return Err(invalid("system: Input should be a valid list")),
    }
    Ok(())
}

pub(super) fn read_messages(body: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    let messages = match given(body, "messages") {
        None => return Err(field_required("messages")),
        Some(Value::Array(messages)) => messages,
        Some(_) => return Err(invalid("messages: Input should be a valid list")),
    };
    if messages.is_empty() {
        return Err(invalid("messages: at least one message is required"));
    }
    let mut open: Vec<&str> = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let role = role(message, place)?;
        let results = ids(message, "tool_result", "tool_use_id");
        close(&open, &results, place)?;
        open = if role == "assistant" { ids(message, "tool_use", "id") } else { Vec::new() };
        let is_last = place + 1 == messages.len();
        read_content(message, role, place, is_last, prompt)?;
        prompt.after_tool = !results.is_empty();
    }
    close(&open, &[], messages.len())
}

fn role(message: &Value, place: usize) -> Result<&str, Refusal> {
    match message["role"].as_str() {
        Some(role @ ("user" | "assistant")) => Ok(role),
        Some("system") => Err(invalid(
            "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \
             \"system\" as an input message role.",
        )),
        Some(other) => Err(invalid(&format!(
            "messages: Unexpected role \"{other}\". Allowed roles are \"user\" or \"assistant\"."
        ))),
        None => Err(field_required(&format!("messages.{place}.role"))),
    }
}

fn ids<'v>(message: &'v Value, kind: &str, field: &str) -> Vec<&'v str> {
    items(message, "content")
        .filter(|block| block["type"] == kind)
        .filter_map(|block| block[field].as_str())
        .collect()
}

/// Every call has its result in the next message, and every result its call in the one before.
fn close(open: &[&str], results: &[&str], place: usize) -> Result<(), Refusal> {
    if let Some((number, id)) = results.iter().enumerate().find(|(_, id)| !open.contains(id)) {
        return Err(invalid(&format!(
            "messages.{place}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
             `tool_result` block must have a corresponding `tool_use` block in the previous message."
        )));
    }
    let missing: Vec<&str> = open.iter().copied().filter(|id| !results.contains(id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(invalid(&format!(
        "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` \
         block must have a corresponding `tool_result` block in the next message.",
        place - 1,
        missing.join(", ")
    )))
}

fn read_content(
    message: &Value,
    role: &str,
    place: usize,
    is_last: bool,
    prompt: &mut Prompt,
) -> Result<(), Refusal> {
    let empty = || {
        invalid(&format!(
            "messages.{place}: all messages must have non-empty content except for the optional final assistant message"
        ))
    };
    let may_be_empty = is_last && role == "assistant";
    match given(message, "content") {
        None => Err(field_required(&format!("messages.{place}.content"))),
        Some(Value::String(text)) if text.is_empty() && !may_be_empty => Err(empty()),
        Some(Value::String(text)) => {
            prompt.segments.push(Segment::text(role, text));
            Ok(())
        }
        Some(Value::Array(blocks)) if blocks.is_empty() && !may_be_empty => Err(empty()),
        Some(Value::Array(blocks)) => {
            for (number, block) in blocks.iter().enumerate() {
                let segment = read_block(block, role, &format!("messages.{place}.content.{number}"))?;
                prompt.segments.push(Segment { breakpoint: breakpoint(block), ..segment });
            }
            Ok(())
        }
        Some(_) => Err(invalid(&format!("messages.{place}.content: Input should be a valid list"))),
    }
}

fn read_block(block: &Value, role: &str, path: &str) -> Result<Segment, Refusal> {
    let kind = block["type"].as_str().ok_or_else(|| field_required(&format!("{path}.type")))?;
    let require =
        |field: &str| given(block, field).ok_or_else(|| field_required(&format!("{path}.{kind}.{field}")));
    match kind {
        "text" => match require("text")?.as_str() {
            Some("") => Err(invalid("messages: text content blocks must be non-empty")),
            Some(text) => Ok(Segment::text(role, text)),
            None => Err(invalid(&format!("{path}.text.text: Input should be a valid string"))),
        },
        "image" | "document" => {
            require("source")?;
            Ok(Segment::media(role, block))
        }
        "tool_use" => {
            require("id")?;
            if !require("input")?.is_object() {
                return Err(invalid(&format!("{path}.tool_use.input: Input should be a valid dictionary")));
            }
            Ok(Segment::json(role, &serde_json::json!([require("name")?, block["input"]])))
        }
        "tool_result" => {
            require("tool_use_id")?;
            Ok(Segment::json(role, &block["content"]))
        }
        "thinking" => {
            require("signature")?;
            Ok(Segment::json(role, require("thinking")?))
        }
        "redacted_thinking" | "search_result" => Ok(Segment::json(role, block)),
        other => Err(invalid(&format!(
            "{path}: Input tag '{other}' found using 'type' does not match any of the expected tags: 'text', 'image', \
             'document', 'thinking', 'redacted_thinking', 'tool_use', 'tool_result'"
        ))),
    }
}
