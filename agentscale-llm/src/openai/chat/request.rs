mod wire;

use agentscale_core::llm::{
    CompletionRequest, Content, Message, ResponseFormat, Role, ToolCall, ToolChoice, ToolSpec,
};

use crate::openai::TokenLimitField;

/// The body of a chat completion.
pub(crate) fn chat<'a>(
    request: &'a CompletionRequest,
    model: &'a str,
    limit: TokenLimitField,
    stream: bool,
) -> wire::ChatRequest<'a> {
    let new_name = limit == TokenLimitField::MaxCompletionTokens;
    wire::ChatRequest {
        model,
        messages: request.messages.iter().flat_map(messages).collect(),
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: tool_choice(request),
        response_format: response_format(&request.response_format),
        max_tokens: request.max_tokens.filter(|_| !new_name),
        max_completion_tokens: request.max_tokens.filter(|_| new_name),
        temperature: request.temperature,
        stop: &request.stop,
        seed: request.seed,
        stream: stream.then_some(true),
        stream_options: stream.then_some(wire::StreamOptions { include_usage: true }),
    }
}

/// One message, behind one of its own for each result of a tool.
fn messages(message: &Message) -> Vec<wire::ChatMessage<'_>> {
    let mut sent: Vec<_> = message.content.iter().filter_map(tool_result).collect();
    let texts: Vec<_> = message.content.iter().filter_map(text).collect();
    let tool_calls: Vec<_> = message.tool_calls().map(tool_call).collect();
    if !texts.is_empty() || !tool_calls.is_empty() || sent.is_empty() {
        let content = (!texts.is_empty() || tool_calls.is_empty()).then(|| texts.join("\n\n"));
        sent.push(wire::ChatMessage { role: role(message.role), content, tool_calls, tool_call_id: None });
    }
    sent
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Assistant => "assistant",
        // What is left of a tool's message beside its results has no place of its own on this wire.
        _ => "user",
    }
}

fn text(part: &Content) -> Option<String> {
    match part {
        Content::Text { text } => Some(text.clone()),
        Content::Document { citation, text } => Some(format!("[{citation}]\n{text}")),
        _ => None,
    }
}

fn tool_result(part: &Content) -> Option<wire::ChatMessage<'_>> {
    let Content::ToolResult { call_id, text, failed } = part else {
        return None;
    };
    let content = if *failed { format!("error: {text}") } else { text.clone() };
    let tool_calls = Vec::new();
    Some(wire::ChatMessage { role: "tool", content: Some(content), tool_calls, tool_call_id: Some(call_id) })
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
    let ResponseFormat::JsonSchema { name, schema } = format else {
        return None;
    };
    Some(wire::ResponseFormat {
        kind: "json_schema",
        json_schema: wire::JsonSchema { name, schema, strict: true },
    })
}
