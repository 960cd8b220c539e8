mod content;
pub(super) mod wire;

use agentscale_core::Result;
use agentscale_core::llm::{CompletionRequest, ResponseFormat, ToolChoice, ToolSpec};

use super::family;

/// The body of a request for an answer. What is stored at the provider has its own system prompt and tools, beside
/// which the API takes no others.
pub(super) fn generate<'a>(request: &'a CompletionRequest, model: &str) -> Result<wire::GenerateRequest<'a>> {
    let stored = request.prompt_cache.stored.as_deref();
    let mut prompt = prompt(request, model)?;
    if stored.is_some() {
        prompt = wire::Prompt { contents: prompt.contents, ..wire::Prompt::default() };
    }
    Ok(wire::GenerateRequest { prompt, generation_config: config(request, model), cached_content: stored })
}

/// The part of a request that can be stored at the provider.
pub(super) fn prompt<'a>(request: &'a CompletionRequest, model: &str) -> Result<wire::Prompt<'a>> {
    let conversation = content::conversation(request, model)?;
    let function_declarations: Vec<_> = request.tools.iter().map(declaration).collect();
    let has_tools = !function_declarations.is_empty();
    Ok(wire::Prompt {
        system_instruction: conversation.system,
        contents: conversation.contents,
        tools: has_tools.then_some(wire::Tools { function_declarations }).into_iter().collect(),
        tool_config: tool_config(request),
    })
}

fn declaration(tool: &ToolSpec) -> wire::FunctionDeclaration<'_> {
    wire::FunctionDeclaration {
        name: &tool.name,
        description: &tool.description,
        parameters_json_schema: &tool.parameters,
    }
}

fn tool_config(request: &CompletionRequest) -> Option<wire::ToolConfig<'_>> {
    let (mode, name) = match &request.tool_choice {
        ToolChoice::None if !request.tools.is_empty() => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Tool(name) => ("ANY", Some([name.as_str()])),
        _ => return None,
    };
    let function_calling_config = wire::FunctionCallingConfig { mode, allowed_function_names: name };
    Some(wire::ToolConfig { function_calling_config })
}

fn config<'a>(request: &'a CompletionRequest, model: &str) -> wire::GenerationConfig<'a> {
    let (is_json, schema) = match &request.response_format {
        // The API refuses both; the call is the answer then.
        _ if demands_tool(request) => (false, None),
        ResponseFormat::JsonSchema { schema, .. } => (true, Some(schema)),
        ResponseFormat::JsonObject => (true, None),
        _ => (false, None),
    };
    let thinking = |effort| family::thinking(model, effort, request.max_tokens);
    wire::GenerationConfig {
        max_output_tokens: request.max_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        stop_sequences: &request.stop,
        // The API takes 32 bits with a sign; those that are left of a longer seed are a seed too.
        seed: request.seed.map(|seed| (seed & 0x7FFF_FFFF) as i32),
        response_mime_type: is_json.then_some("application/json"),
        response_json_schema: schema,
        thinking_config: request.reasoning_effort.and_then(thinking),
    }
}

fn demands_tool(request: &CompletionRequest) -> bool {
    matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_))
}
