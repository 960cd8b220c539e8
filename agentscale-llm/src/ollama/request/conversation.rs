use std::borrow::Cow;
use std::collections::HashMap;

use agentscale_core::llm::{CompletionRequest, Content, Image, Message, Role, ToolSpec};
use agentscale_core::{Error, ErrorKind, Result};

use super::wire;
use crate::ollama::error::OPERATION;

/// The messages of a request, behind one that says what is demanded.
pub(super) fn messages<'a>(
    request: &'a CompletionRequest,
    demanded: Option<&'a ToolSpec>,
) -> Result<Vec<wire::Message<'a>>> {
    let mut names = HashMap::new();
    let mut sent: Vec<_> = demanded.map(demand).into_iter().collect();
    for message in &request.messages {
        names.extend(message.tool_calls().map(|call| (call.id.as_str(), call.name.as_str())));
        sent.extend(message.content.iter().filter_map(|part| tool_result(part, &names)));
        sent.extend(said(message)?);
    }
    Ok(sent)
}

fn demand(tool: &ToolSpec) -> wire::Message<'_> {
    let ToolSpec { name, description, .. } = tool;
    let content =
        format!("Answer with the arguments of a call of the tool {name}, as JSON. The tool: {description}");
    wire::Message { role: "system", content: Cow::Owned(content), ..Default::default() }
}

/// What stands in a message beside results of tools; `None` where there is nothing else.
fn said(message: &Message) -> Result<Option<wire::Message<'_>>> {
    let texts: Vec<_> = message.content.iter().filter_map(text).collect();
    let images: Vec<_> = message.content.iter().filter_map(image).collect::<Result<_>>()?;
    let tool_calls: Vec<_> = message
        .tool_calls()
        .map(|call| {
            let function = wire::SentFunction { name: &call.name, arguments: &call.arguments };
            wire::SentToolCall { id: &call.id, function }
        })
        .collect();
    let only_results =
        !message.content.is_empty() && texts.is_empty() && images.is_empty() && tool_calls.is_empty();
    Ok((!only_results).then(|| wire::Message {
        role: role(message.role),
        content: joined(texts),
        // A model that thought before its calls goes on from there.
        thinking: thought(message).filter(|_| !tool_calls.is_empty()),
        images,
        tool_calls,
        ..Default::default()
    }))
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Assistant => "assistant",
        // What is left of a tool's message beside its results has no place of its own on this wire.
        _ => "user",
    }
}

fn text(part: &Content) -> Option<Cow<'_, str>> {
    match part {
        Content::Text { text } => Some(Cow::Borrowed(text)),
        Content::Document { citation, text } => Some(Cow::Owned(format!("[{citation}]\n{text}"))),
        _ => None,
    }
}

fn joined(mut texts: Vec<Cow<'_, str>>) -> Cow<'_, str> {
    match texts.len() {
        1 => texts.remove(0),
        _ => Cow::Owned(texts.join("\n\n")),
    }
}

fn image(part: &Content) -> Option<Result<&str>> {
    match part {
        Content::Image(Image::Inline { base64, .. }) => Some(Ok(base64)),
        Content::Image(_) => {
            Some(Err(Error::new(ErrorKind::Unsupported, OPERATION)
                .with_context("demanded", "an image by its address")))
        }
        _ => None,
    }
}

fn thought(message: &Message) -> Option<&str> {
    message.content.iter().find_map(|part| match part {
        Content::Reasoning(reasoning) if !reasoning.text.is_empty() => Some(reasoning.text.as_str()),
        _ => None,
    })
}

fn tool_result<'a>(part: &'a Content, names: &HashMap<&'a str, &'a str>) -> Option<wire::Message<'a>> {
    let Content::ToolResult { call_id, text, failed } = part else {
        return None;
    };
    let content = if *failed { Cow::Owned(format!("error: {text}")) } else { Cow::Borrowed(text.as_str()) };
    Some(wire::Message {
        role: "tool",
        content,
        tool_name: names.get(call_id.as_str()).copied(),
        tool_call_id: Some(call_id),
        ..Default::default()
    })
}
