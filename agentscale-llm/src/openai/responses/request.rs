mod input;
mod wire;

use agentscale_core::llm::{CompletionRequest, ResponseFormat, ToolChoice, ToolSpec};
use agentscale_core::{Error, ErrorKind, Result};

use crate::openai::config::Fields;
use crate::openai::error::OPERATION;
use crate::openai::family;
use crate::openai::prompt_cache::PromptCacheFields;

/// The body of a request for a response. Nothing of it is stored at the server: thoughts go back and forth encrypted.
///
/// # Errors
/// `unsupported` for texts that end the answer, which this API does not take.
pub(super) fn response<'a>(
    request: &'a CompletionRequest,
    model: &'a str,
    fields: Fields,
    stream: bool,
) -> Result<wire::ResponseRequest<'a>> {
    if !request.stop.is_empty() {
        return Err(Error::new(ErrorKind::Unsupported, OPERATION).with_context("demanded", "stop texts"));
    }
    let thinks = family::may_think(model);
    let effort = family::effort(model, request);
    let takes_sampling = family::takes_sampling(model, effort);
    Ok(wire::ResponseRequest {
        model,
        input: request.messages.iter().flat_map(input::items).collect(),
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: tool_choice(request),
        text: text(&request.response_format),
        max_output_tokens: request.max_tokens,
        temperature: request.temperature.filter(|_| takes_sampling),
        top_p: request.top_p.filter(|_| takes_sampling),
        reasoning: effort.map(|effort| wire::ReasoningOptions { effort }),
        store: false,
        include: if thinks { &["reasoning.encrypted_content"] } else { &[] },
        prompt_cache: PromptCacheFields::of(&request.prompt_cache, fields.cache_retention),
        stream: stream.then_some(true),
    })
}

fn tool(tool: &ToolSpec) -> wire::Tool<'_> {
    let ToolSpec { name, description, parameters } = tool;
    // Strict is this API's default, and takes a part of JSON schema only.
    wire::Tool { kind: "function", name, description, parameters, strict: false }
}

fn tool_choice(request: &CompletionRequest) -> Option<wire::ToolChoice<'_>> {
    match &request.tool_choice {
        ToolChoice::None if !request.tools.is_empty() => Some(wire::ToolChoice::Mode("none")),
        ToolChoice::Required => Some(wire::ToolChoice::Mode("required")),
        ToolChoice::Tool(name) => Some(wire::ToolChoice::Tool { kind: "function", name }),
        _ => None,
    }
}

fn text(format: &ResponseFormat) -> Option<wire::TextOptions<'_>> {
    let format = match format {
        ResponseFormat::JsonObject => wire::TextFormat::JsonObject,
        ResponseFormat::JsonSchema { name, schema } => {
            wire::TextFormat::JsonSchema { name, schema, strict: true }
        }
        _ => return None,
    };
    Some(wire::TextOptions { format })
}
