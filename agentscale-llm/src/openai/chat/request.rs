mod wire;

use agentscale_core::llm::{
    CompletionRequest, Content, Message, ResponseFormat, Role, ToolCall, ToolChoice, ToolSpec,
};

use super::{API_NAME, THOUGHT_FIELDS};
use crate::openai::config::{Fields, TokenLimitField};
use crate::openai::family;
use crate::openai::parts::{image_url, text};
use crate::openai::prompt_cache::PromptCacheFields;

/// The body of a chat completion.
pub(crate) fn chat<'a>(
    request: &'a CompletionRequest,
    model: &'a str,
    fields: Fields,
    stream: bool,
) -> wire::ChatRequest<'a> {
    let reasoning_effort = family::effort(model, request);
    let takes_sampling = family::takes_sampling(model, reasoning_effort);
    let continues = fields.continues && ends_with_the_assistant(request);
    let new_name = fields.token_limit == TokenLimitField::MaxCompletionTokens;
    wire::ChatRequest {
        model,
        messages: request.messages.iter().flat_map(messages).collect(),
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: tool_choice(request),
        response_format: response_format(&request.response_format),
        max_tokens: request.max_tokens.filter(|_| !new_name),
        max_completion_tokens: request.max_tokens.filter(|_| new_name),
        temperature: request.temperature.filter(|_| takes_sampling),
        top_p: request.top_p.filter(|_| takes_sampling),
        stop: &request.stop,
        // The API takes 64 bits with a sign; those that are left of a longer seed are a seed too.
        seed: request.seed.map(|seed| seed & (u64::MAX >> 1)),
        reasoning_effort,
        prompt_cache: PromptCacheFields::of(&request.prompt_cache, fields.cache_retention),
        add_generation_prompt: continues.then_some(false),
        continue_final_message: continues.then_some(true),
        stream: stream.then_some(true),
        stream_options: stream.then_some(wire::StreamOptions { include_usage: true }),
    }
}

/// Whether its last words are the assistant's, which the model may go on from.
fn ends_with_the_assistant(request: &CompletionRequest) -> bool {
    request.messages.last().is_some_and(|last| {
        last.role == Role::Assistant && last.tool_calls().next().is_none() && content(last).is_some()
    })
}

/// One message, behind one of its own for each result of a tool.
fn messages(message: &Message) -> Vec<wire::ChatMessage<'_>> {
    let mut sent: Vec<_> = message.content.iter().filter_map(tool_result).collect();
    let content = content(message);
    let tool_calls: Vec<_> = message.tool_calls().map(tool_call).collect();
    if content.is_some() || !tool_calls.is_empty() || sent.is_empty() {
        let content =
            content.or_else(|| tool_calls.is_empty().then(|| wire::MessageContent::Text(String::new())));
        // Servers that want thoughts back want them with the calls that followed from them.
        let thought = |field| if tool_calls.is_empty() { None } else { thought(message, field) };
        sent.push(wire::ChatMessage {
            role: role(message.role),
            content,
            reasoning_content: thought(THOUGHT_FIELDS[0]),
            reasoning: thought(THOUGHT_FIELDS[1]),
            tool_calls,
            tool_call_id: None,
        });
    }
    sent
}

/// What is said and shown: one text where there is no image.
fn content(message: &Message) -> Option<wire::MessageContent<'_>> {
    let parts: Vec<_> = message.content.iter().filter_map(part).collect();
    if parts.iter().any(|part| matches!(part, wire::Part::ImageUrl { .. })) {
        return Some(wire::MessageContent::Parts(parts));
    }
    let texts: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            wire::Part::Text { text } => Some(&**text),
            wire::Part::ImageUrl { .. } => None,
        })
        .collect();
    (!texts.is_empty()).then(|| wire::MessageContent::Text(texts.join("\n\n")))
}

fn part(part: &Content) -> Option<wire::Part<'_>> {
    match part {
        Content::Image(image) => {
            Some(wire::Part::ImageUrl { image_url: wire::ImageUrl { url: image_url(image)? } })
        }
        part => text(part).map(|text| wire::Part::Text { text }),
    }
}

/// What was thought before the calls, for the server that told it under the name `field`.
fn thought<'a>(message: &'a Message, field: &str) -> Option<&'a str> {
    message.content.iter().find_map(|part| match part {
        Content::Reasoning(reasoning) => {
            let told_as: String = reasoning.opaque_of(API_NAME)?.decode().ok()?;
            (told_as == field).then_some(reasoning.text.as_str())
        }
        _ => None,
    })
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Assistant => "assistant",
        // What is left of a tool's message beside its results has no place of its own on this wire.
        _ => "user",
    }
}

fn tool_result(part: &Content) -> Option<wire::ChatMessage<'_>> {
    let Content::ToolResult { call_id, text, failed } = part else {
        return None;
    };
    let content = if *failed { format!("error: {text}") } else { text.clone() };
    let content = Some(wire::MessageContent::Text(content));
    Some(wire::ChatMessage { role: "tool", content, tool_call_id: Some(call_id), ..Default::default() })
}

fn tool_call(call: &ToolCall) -> wire::SentToolCall<'_> {
    let function = wire::SentFunction { name: &call.name, arguments: call.arguments.as_str() };
    wire::SentToolCall { id: &call.id, kind: "function", function }
}

fn tool(tool: &ToolSpec) -> wire::Tool<'_> {
    let ToolSpec { name, description, parameters } = tool;
    wire::Tool { kind: "function", function: wire::Function { name, description, parameters } }
}

fn tool_choice(request: &CompletionRequest) -> Option<wire::ToolChoice<'_>> {
    match &request.tool_choice {
        ToolChoice::None if !request.tools.is_empty() => Some(wire::ToolChoice::Mode("none")),
        ToolChoice::Required => Some(wire::ToolChoice::Mode("required")),
        ToolChoice::Tool(name) => {
            Some(wire::ToolChoice::Tool { kind: "function", function: wire::FunctionName { name } })
        }
        _ => None,
    }
}

fn response_format(format: &ResponseFormat) -> Option<wire::ResponseFormat<'_>> {
    match format {
        ResponseFormat::JsonObject => Some(wire::ResponseFormat::JsonObject),
        ResponseFormat::JsonSchema { name, schema } => {
            let json_schema = wire::JsonSchema { name, schema, strict: true };
            Some(wire::ResponseFormat::JsonSchema { json_schema })
        }
        _ => None,
    }
}
