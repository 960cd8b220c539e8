//! `POST /v1/responses`. Nothing is stored: earlier answers are not found by their names.

mod events;
mod input;

use serde_json::{Value, json};

use super::openai_chat::{caching, check_ranges, choice, json_object, model, positive, schema, tool_of};
use super::openai_error::{invalid, missing, not_json};
use super::read::{given, items};
use super::{CREATED, Dialect};
use crate::answer::{Answer, Call, Finish, Usage};
use crate::body::Events;
use crate::prompt::{Format, Prompt, Segment, Thinking};
use crate::refusal::Refusal;
use crate::wire::Wire;

/// The API takes no shorter limit.
const LEAST_OUTPUT: u64 = 16;

pub(crate) struct OpenAiResponses;

impl Wire for OpenAiResponses {
    fn dialect(&self) -> Dialect {
        Dialect::Openai
    }

    fn read(&self, body: &[u8]) -> Result<Prompt, Refusal> {
        let body: Value = serde_json::from_slice(body).map_err(|_| not_json())?;
        let mut prompt = Prompt { model: model(&body)?, ..Prompt::default() };
        if let Some(earlier) = body["previous_response_id"].as_str() {
            let message = format!("Previous response with id '{earlier}' not found.");
            return Err(invalid(&message, Some("previous_response_id"), Some("previous_response_not_found")));
        }
        for (place, tool) in items(&body, "tools").enumerate().filter(|(_, tool)| tool["type"] == "function")
        {
            prompt.tools.push(tool_of(tool, &format!("tools[{place}]"))?);
            prompt.segments.push(Segment::json("tool", tool));
        }
        if let Some(instructions) = body["instructions"].as_str() {
            prompt.segments.push(Segment::text("developer", instructions));
        }
        input::read(&body, &mut prompt)?;
        prompt.choice = choice(&body, &prompt.tools, |choice| &choice["name"])?;
        prompt.one_call = body["parallel_tool_calls"] == false;
        let format = &body["text"]["format"];
        prompt.format = match format["type"].as_str() {
            None | Some("text") => Format::Text,
            Some("json_object") => json_object(&prompt, "input")?,
            Some("json_schema") => schema(format, "text.format")?,
            Some(other) => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'json_object', 'json_schema', and 'text'."
                );
                return Err(invalid(&message, Some("text.format.type"), Some("invalid_value")));
            }
        };
        prompt.max_tokens = positive(&body, "max_output_tokens")?;
        if let Some(number) = prompt.max_tokens.filter(|most| *most < LEAST_OUTPUT) {
            let message = format!(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {LEAST_OUTPUT}, but got \
                 {number} instead."
            );
            return Err(invalid(&message, Some("max_output_tokens"), Some("integer_below_min_value")));
        }
        check_ranges(&body)?;
        let reasoning = &body["reasoning"];
        prompt.thinking = match (reasoning["effort"].as_str(), given(reasoning, "summary")) {
            (Some("none"), _) | (None, None) => Thinking::Off,
            (_, Some(_)) => Thinking::Shown,
            (Some(_), None) => Thinking::Hidden,
        };
        prompt.stream = body["stream"] == true;
        prompt.caching = caching(&body);
        Ok(prompt)
    }

    fn whole(&self, answer: &Answer, _: &Prompt) -> Value {
        response(answer, &output(answer), Some(&usage(&answer.usage)))
    }

    fn events(&self, answer: Answer, _: &Prompt) -> Events {
        events::of(answer)
    }

    fn error_event(&self, error: &Value, after: u64) -> String {
        let error = &error["error"];
        let (code, message) = (error["code"].as_str().unwrap_or("server_error"), &error["message"]);
        let event = json!({"type": "error", "code": code, "message": message, "param": null, "sequence_number": after});
        let response = json!({
            "object": "response",
            "status": "failed",
            "error": {"code": code, "message": message},
            "output": [],
            "usage": null,
        });
        let failed = json!({"type": "response.failed", "sequence_number": after + 1, "response": response});
        format!("event: error\ndata: {event}\n\nevent: response.failed\ndata: {failed}\n\n")
    }

    fn garbage_event(&self) -> &'static str {
        "event: response.output_text.delta\ndata: {\"type\": no json\n\n"
    }
}

/// The object around an answer: as it begins without usage, as it ends with.
fn response(answer: &Answer, output: &[Value], usage: Option<&Value>) -> Value {
    let (status, incomplete) = match (&usage, &answer.finish) {
        (None, _) => ("in_progress", Value::Null),
        (Some(_), Finish::Length) => ("incomplete", json!({"reason": "max_output_tokens"})),
        (Some(_), _) => ("completed", Value::Null),
    };
    json!({
        "id": format!("resp_{}", answer.id),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": incomplete,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "service_tier": "default",
        "store": false,
        "usage": usage,
    })
}

fn output(answer: &Answer) -> Vec<Value> {
    let mut output = Vec::new();
    if answer.usage.thinking > 0 {
        let summary = match answer.thinking.is_empty() {
            true => json!([]),
            false => json!([{"type": "summary_text", "text": answer.thoughts()}]),
        };
        output.push(json!({"id": format!("rs_{}", answer.id), "type": "reasoning", "summary": summary}));
    }
    if !answer.text.is_empty() {
        output.push(message(answer));
    }
    output.extend(answer.calls.iter().map(function_call));
    output
}

fn message(answer: &Answer) -> Value {
    let status = if answer.finish == Finish::Length { "incomplete" } else { "completed" };
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [text_part(&answer.text())],
    })
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn function_call(call: &Call) -> Value {
    json!({
        "id": format!("fc_{}", call.id),
        "type": "function_call",
        "status": "completed",
        "call_id": format!("call_{}", call.id),
        "name": call.name,
        "arguments": call.arguments,
    })
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.thinking},
        "total_tokens": usage.input + usage.output,
    })
}

/// The input is there, and holds something.
fn no_input() -> Refusal {
    missing("input")
}
