mod cache;
mod content;
mod thinking;
pub(super) mod wire;

use agentscale_core::llm::{CompletionRequest, ResponseFormat, ToolChoice, ToolSpec};

use super::{AnthropicConfig, SchemaForm, ThinkingForm, family};

/// The body of a request for a message.
pub(super) fn messages<'a>(
    request: &'a CompletionRequest,
    model: &'a str,
    config: &AnthropicConfig,
    stream: bool,
) -> wire::MessagesRequest<'a> {
    let form = config.thinking_of(model);
    let answer_tool = answer_tool(request, config.schema_of(model));
    let tool_choice = tool_choice(request, answer_tool);
    let max_tokens = request.max_tokens.unwrap_or(config.max_tokens);
    let (thinking, effort) = thinking::of(request, model, form, max_tokens, tool_choice.as_ref());
    let (temperature, top_p) = sampling(request, model, form, thinking.is_some());
    let conversation = content::conversation(request);
    wire::MessagesRequest {
        model,
        max_tokens,
        system: conversation.system,
        messages: conversation.messages,
        tools: request.tools.iter().map(tool).chain(answer_tool.map(answer_tool_spec)).collect(),
        tool_choice,
        thinking,
        output_config: wire::OutputConfig { effort, format: format(request, answer_tool.is_some()) },
        temperature,
        top_p,
        stop_sequences: &request.stop,
        stream: stream.then_some(true),
    }
}

/// The tool whose input is the answer, where the model knows no other way to a schema: its name and the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerTool<'a> {
    pub(super) name: &'a str,
    schema: &'a agentscale_core::Json,
}

/// There is none where the request demands one of its own tools: then the call is the answer.
pub(super) fn answer_tool(request: &CompletionRequest, form: SchemaForm) -> Option<AnswerTool<'_>> {
    match &request.response_format {
        ResponseFormat::JsonSchema { name, schema } if form == SchemaForm::Tool => {
            let demands_own = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_));
            (!demands_own).then_some(AnswerTool { name, schema })
        }
        _ => None,
    }
}

fn answer_tool_spec(tool: AnswerTool<'_>) -> wire::Tool<'_> {
    let AnswerTool { name, schema } = tool;
    wire::Tool { name, description: "Takes the answer to the user.", input_schema: schema }
}

fn tool(tool: &ToolSpec) -> wire::Tool<'_> {
    wire::Tool { name: &tool.name, description: &tool.description, input_schema: &tool.parameters }
}

fn tool_choice<'a>(
    request: &'a CompletionRequest,
    answer: Option<AnswerTool<'a>>,
) -> Option<wire::ToolChoice<'a>> {
    match (&request.tool_choice, answer) {
        (ToolChoice::Auto, Some(_)) if !request.tools.is_empty() => Some(wire::ToolChoice::Any),
        (_, Some(answer)) => Some(wire::ToolChoice::Tool { name: answer.name }),
        (ToolChoice::Required, None) => Some(wire::ToolChoice::Any),
        (ToolChoice::Tool(name), None) => Some(wire::ToolChoice::Tool { name }),
        (ToolChoice::None, None) if !request.tools.is_empty() => Some(wire::ToolChoice::None),
        _ => None,
    }
}

fn format(request: &CompletionRequest, by_tool: bool) -> Option<wire::OutputFormat<'_>> {
    match &request.response_format {
        ResponseFormat::JsonSchema { schema, .. } if !by_tool => {
            Some(wire::OutputFormat { kind: "json_schema", schema })
        }
        _ => None,
    }
}

/// A temperature and `top_p` as far as the model takes them: none while it thinks, at most 1.
fn sampling(
    request: &CompletionRequest,
    model: &str,
    form: ThinkingForm,
    thinks: bool,
) -> (Option<f32>, Option<f32>) {
    if thinks || form == ThinkingForm::Adaptive {
        return (None, None);
    }
    let temperature = request.temperature.map(|temperature| temperature.min(1.0));
    let takes_one = family::takes_one_of_temperature_and_top_p(model);
    (temperature, request.top_p.filter(|_| !(takes_one && temperature.is_some())))
}
