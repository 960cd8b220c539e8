//! `POST /api/chat` and `/api/embed`.

use serde_json::{Value, json};

use super::Dialect;
use super::read::{given, items, quoted, texts};
use crate::answer::{Answer, Finish};
use crate::body::{Event, Events};
use crate::embedding;
use crate::embeddings::{Embeddings, Input};
use crate::prompt::{Format, Prompt, Segment, Thinking, Tool, tokens};
use crate::refusal::Refusal;
use crate::wire::Wire;

/// [`CREATED`](super::CREATED).
const CREATED_AT: &str = "2025-10-09T08:53:20Z";
/// What a token is said to take, in nanoseconds.
const TOKEN_NANOS: u64 = 1_000_000;

pub(crate) struct Ollama;

impl Wire for Ollama {
    fn dialect(&self) -> Dialect {
        Dialect::Ollama
    }

    fn read(&self, body: &[u8]) -> Result<Prompt, Refusal> {
        let body = parse(body)?;
        let mut prompt = Prompt { model: model(&body)?, ..Prompt::default() };
        for tool in items(&body, "tools") {
            let function = &tool["function"];
            let name = function["name"].as_str().unwrap_or_default().to_owned();
            prompt.tools.push(Tool { name, schema: function["parameters"].clone() });
            prompt.segments.push(Segment::json("tool", function));
        }
        if given(&body, "messages").is_some_and(|messages| !messages.is_array()) {
            return Err(invalid(
                "json: cannot unmarshal into Go struct field ChatRequest.messages of type []api.Message",
            ));
        }
        for message in items(&body, "messages") {
            let role = message["role"].as_str().unwrap_or_default();
            prompt.segments.push(Segment::text(role, message["content"].as_str().unwrap_or_default()));
            prompt.segments.extend(items(message, "images").map(|image| Segment::media(role, image)));
            prompt.segments.extend(given(message, "tool_calls").map(|calls| Segment::json(role, calls)));
            prompt.after_tool = role == "tool";
        }
        prompt.format = match given(&body, "format") {
            None => Format::Text,
            Some(Value::String(text)) if text.is_empty() => Format::Text,
            Some(Value::String(text)) if text == "json" => Format::Object,
            Some(schema @ Value::Object(_)) => Format::Schema(schema.clone()),
            Some(other) => {
                return Err(invalid(&format!(
                    "invalid format: {other}; expected \"json\" or a valid JSON Schema object"
                )));
            }
        };
        let options = &body["options"];
        // Negative: as long as it takes.
        prompt.max_tokens = options["num_predict"].as_u64().filter(|most| *most > 0);
        prompt.stop = texts(&options["stop"]);
        prompt.thinking = match given(&body, "think") {
            None | Some(Value::Bool(false)) => Thinking::Off,
            Some(_) => Thinking::Shown,
        };
        prompt.stream = body["stream"] != false;
        // Such a request loads the model.
        prompt.is_empty = body["messages"].as_array().is_none_or(Vec::is_empty);
        Ok(prompt)
    }

    fn whole(&self, answer: &Answer, prompt: &Prompt) -> Value {
        let mut message = json!({"role": "assistant", "content": answer.text()});
        if !answer.thinking.is_empty() {
            message["thinking"] = json!(answer.thoughts());
        }
        if !answer.calls.is_empty() {
            message["tool_calls"] = calls(answer);
        }
        let mut whole = last(answer, prompt);
        whole["message"] = message;
        whole
    }

    fn events(&self, answer: Answer, prompt: &Prompt) -> Events {
        let model = quoted(&answer.model);
        let line = move |field: &str, value: &str| {
            let content = if field == "content" { "" } else { "\"content\":\"\"," };
            format!(
                "{{\"model\":{model},\"created_at\":\"{CREATED_AT}\",\"message\":{{\"role\":\"assistant\",\
                 {content}\"{field}\":{value}}},\"done\":false}}\n"
            )
        };
        let calls = (!answer.calls.is_empty()).then(|| {
            let fragments = answer.calls.iter().map(|call| call.fragments().len() as u64).sum();
            Event { tokens: fragments, ..Event::silent(line("tool_calls", &calls(&answer).to_string())) }
        });
        let end = Event::silent(format!("{}\n", last(&answer, prompt)));
        let thinking_line = line.clone();
        let thinking = answer
            .thinking
            .into_iter()
            .map(move |token| Event::token(thinking_line("thinking", &quoted(&token))));
        let text = answer.text.into_iter().map(move |token| Event::token(line("content", &quoted(&token))));
        Box::new(thinking.chain(text).chain(calls).chain([end]))
    }

    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn error_event(&self, error: &Value, _: u64) -> String {
        format!("{error}\n")
    }

    fn garbage_event(&self) -> &'static str {
        "{\"model\": no json\n"
    }
}

impl Embeddings for Ollama {
    fn read(&self, body: &[u8]) -> Result<Input, Refusal> {
        let body = parse(body)?;
        let input = &body["input"];
        if !matches!(input, Value::Null | Value::String(_) | Value::Array(_)) {
            return Err(invalid("invalid input type"));
        }
        let mut texts = texts(input);
        texts.retain(|text| !text.is_empty() || input.is_array());
        Ok(Input {
            model: model(&body)?,
            texts,
            dimensions: body["dimensions"].as_u64(),
            options: Value::Null,
        })
    }

    fn whole(&self, input: &Input, dimensions: usize) -> Value {
        let vector = |text: &String| embedding::json(&embedding::vector(&input.model, text, dimensions));
        let vectors: Vec<Value> = input.texts.iter().map(vector).collect();
        let used: u64 = input.texts.iter().map(|text| tokens(text)).sum();
        json!({
            "model": input.model,
            "embeddings": vectors,
            "total_duration": used * TOKEN_NANOS,
            "load_duration": TOKEN_NANOS,
            "prompt_eval_count": used,
        })
    }
}

/// Arguments are an object here, and calls come whole.
fn calls(answer: &Answer) -> Value {
    let call = |(index, call): (usize, &crate::answer::Call)| {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let function = json!({"index": index, "name": call.name, "arguments": arguments});
        json!({"id": format!("call_{}", call.id), "function": function})
    };
    answer.calls.iter().enumerate().map(call).collect()
}

fn last(answer: &Answer, prompt: &Prompt) -> Value {
    let message = json!({"role": "assistant", "content": ""});
    if prompt.is_empty {
        return json!({
            "model": answer.model,
            "created_at": CREATED_AT,
            "message": message,
            "done_reason": "load",
            "done": true,
        });
    }
    let usage = &answer.usage;
    json!({
        "model": answer.model,
        "created_at": CREATED_AT,
        "message": message,
        "done_reason": if answer.finish == Finish::Length { "length" } else { "stop" },
        "done": true,
        "total_duration": (usage.input + usage.output) * TOKEN_NANOS,
        "load_duration": TOKEN_NANOS,
        "prompt_eval_count": usage.input,
        "prompt_eval_duration": usage.input * TOKEN_NANOS,
        "eval_count": usage.output,
        "eval_duration": usage.output * TOKEN_NANOS,
    })
}

fn parse(body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Err(invalid("missing request body"));
    }
    serde_json::from_slice(body).map_err(|error| invalid(&error.to_string()))
}

fn model(body: &Value) -> Result<String, Refusal> {
    match body["model"].as_str() {
        Some(model) if !model.is_empty() => Ok(model.to_owned()),
        _ => Err(invalid("model is required")),
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, json!({"error": message}))
}
