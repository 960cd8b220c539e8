mod conversation;
mod wire;

use agentscale_core::llm::{CompletionRequest, ReasoningEffort, ResponseFormat, ToolChoice, ToolSpec};
use agentscale_core::{Error, ErrorKind, Result};

use super::OllamaConfig;
use super::error::OPERATION;

/// The body of a request for an answer. A prompt that does not fit the window is refused rather than cut.
///
/// # Errors
/// `unsupported` for images that are not inline, and for a call of one of several tools.
pub(super) fn chat<'a>(
    request: &'a CompletionRequest,
    model: &'a str,
    config: &'a OllamaConfig,
    stream: bool,
) -> Result<wire::ChatRequest<'a>> {
    let demanded = demanded_tool(request)?;
    // The form of the text stands for the demand, and a tool beside it would be called in words.
    let offered = match (demanded, &request.tool_choice) {
        (Some(_), _) | (None, ToolChoice::None) => &[],
        (None, _) => request.tools.as_slice(),
    };
    let format = match &request.response_format {
        _ if demanded.is_some() => demanded.map(|tool| wire::Format::Schema(&tool.parameters)),
        ResponseFormat::JsonSchema { schema, .. } => Some(wire::Format::Schema(schema)),
        ResponseFormat::JsonObject => Some(wire::Format::Named("json")),
        _ => None,
    };
    Ok(wire::ChatRequest {
        model,
        messages: conversation::messages(request, demanded)?,
        tools: offered.iter().map(tool).collect(),
        format,
        think: request.reasoning_effort.map(|effort| think(effort, model)),
        options: wire::Options {
            num_ctx: config.context_window,
            num_predict: request.max_tokens,
            temperature: request.temperature,
            top_p: request.top_p,
            stop: &request.stop,
            seed: request.seed,
        },
        keep_alive: config.keep_alive.as_deref(),
        truncate: false,
        stream,
    })
}

/// The tool that must be called. The API knows no demand: the answer's text takes the form of the tool's arguments.
pub(super) fn demanded_tool(request: &CompletionRequest) -> Result<Option<&ToolSpec>> {
    let found = match (&request.tool_choice, request.tools.as_slice()) {
        (ToolChoice::Required, [only]) => Some(only),
        (ToolChoice::Tool(name), tools) => tools.iter().find(|tool| tool.name == *name),
        (ToolChoice::Required, _) => None,
        _ => return Ok(None),
    };
    let refused =
        || Error::new(ErrorKind::Unsupported, OPERATION).with_context("demanded", "one of several tools");
    found.map(Some).ok_or_else(refused)
}

fn tool(tool: &ToolSpec) -> wire::Tool<'_> {
    let ToolSpec { name, description, parameters } = tool;
    wire::Tool { kind: "function", function: wire::Function { name, description, parameters } }
}

/// Of all models only these know degrees.
fn think(effort: ReasoningEffort, model: &str) -> wire::Think {
    let degrees = model.starts_with("gpt-oss") || model.contains("/gpt-oss");
    match effort {
        ReasoningEffort::Minimal if degrees => wire::Think::Degree(ReasoningEffort::Low),
        ReasoningEffort::Minimal => wire::Think::Whether(false),
        effort if degrees => wire::Think::Degree(effort),
        _ => wire::Think::Whether(true),
    }
}
