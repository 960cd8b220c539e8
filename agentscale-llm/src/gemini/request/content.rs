use std::borrow::Cow;

use agentscale_core::llm::{CompletionRequest, Content, Image, Message, Reasoning, Role, ToolCall};
use agentscale_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::wire::{self, FileData, FunctionCall, FunctionResponse, InlineData, Part, Response, Said};
use crate::decode::OWN_ID;
use crate::gemini::error::OPERATION;
use crate::gemini::{API_NAME, family};

/// Stands in the place of a signature with calls that another model made, as the API's documentation says.
const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";

/// The messages as the API wants them: the host's texts apart, the others of two roles in turn.
pub(super) struct Conversation<'a> {
    pub(super) system: Option<wire::Content<'a>>,
    pub(super) contents: Vec<wire::Content<'a>>,
}

/// What went with a thought or a text.
#[derive(Deserialize)]
struct Kept {
    signature: String,
}

pub(super) fn conversation<'a>(request: &'a CompletionRequest, model: &str) -> Result<Conversation<'a>> {
    let mut conversation = Conversation { system: None, contents: Vec::new() };
    let signs = family::wants_signatures(model);
    for (at, message) in request.messages.iter().enumerate() {
        let mut parts = parts(message, &request.messages[..at])?;
        if signs {
            sign_foreign(&mut parts);
        }
        conversation.add(message.role, parts);
    }
    Ok(conversation)
}

impl<'a> Conversation<'a> {
    fn add(&mut self, role: Role, mut parts: Vec<Part<'a>>) {
        let role = match role {
            Role::System if parts.is_empty() => return,
            Role::System => {
                let empty = wire::Content { role: None, parts: Vec::new() };
                return self.system.get_or_insert(empty).parts.append(&mut parts);
            }
            Role::Assistant => Some("model"),
            _ => Some("user"),
        };
        match self.contents.last_mut() {
            Some(last) if last.role == role => last.parts.append(&mut parts),
            _ if parts.is_empty() => {}
            _ => self.contents.push(wire::Content { role, parts }),
        }
    }
}

/// Results of tools come before what else a message says: they must follow their calls at once.
fn parts<'a>(message: &'a Message, before: &'a [Message]) -> Result<Vec<Part<'a>>> {
    let is_result = |part: &&Content| matches!(part, Content::ToolResult { .. });
    let (results, others): (Vec<_>, Vec<_>) = message.content.iter().partition(is_result);
    let parts = results.into_iter().chain(others).map(|content| part(content, before));
    parts.filter_map(Result::transpose).collect()
}

fn part<'a>(content: &'a Content, before: &'a [Message]) -> Result<Option<Part<'a>>> {
    let said = match content {
        Content::Text { text } if text.is_empty() => return Ok(None),
        Content::Text { text } => Said::Text(Cow::Borrowed(text)),
        Content::Document { citation, text } => Said::Text(Cow::Owned(format!("[{citation}]\n{text}"))),
        Content::Image(Image::Url(url)) => {
            Said::FileData(FileData { mime_type: media_type(url), file_uri: url })
        }
        Content::Image(Image::Inline { media_type, base64 }) => {
            Said::InlineData(InlineData { mime_type: media_type, data: base64 })
        }
        Content::Reasoning(reasoning) => return Ok(thought(reasoning)),
        Content::ToolCall(call) => return Ok(Some(call_part(call))),
        Content::ToolResult { call_id, text, failed } => result(call_id, text, *failed, before)?,
        _ => return Ok(None),
    };
    Ok(Some(Part { said: Some(said), ..Part::default() }))
}

/// What the API did not sign it does not need.
fn thought(reasoning: &Reasoning) -> Option<Part<'_>> {
    let kept: Kept = reasoning.opaque_of(API_NAME)?.decode().ok()?;
    Some(Part {
        said: Some(Said::Text(Cow::Borrowed(&reasoning.text))),
        thought: (!reasoning.text.is_empty()).then_some(true),
        thought_signature: Some(Cow::Owned(kept.signature)),
    })
}

fn call_part(call: &ToolCall) -> Part<'_> {
    let ToolCall { id, name, arguments, signature, .. } = call;
    let told = FunctionCall { id: given_id(id), name, args: arguments };
    let thought_signature = signature.as_deref().map(Cow::Borrowed);
    Part { said: Some(Said::FunctionCall(told)), thought: None, thought_signature }
}

/// The API wants the name of what was called with its result.
fn result<'a>(id: &'a str, text: &'a str, failed: bool, before: &'a [Message]) -> Result<Said<'a>> {
    let mut calls = before.iter().rev().flat_map(Message::tool_calls);
    let call = calls.find(|call| call.id == id).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, OPERATION).with_context("reason", "a result without its call")
    })?;
    let response = if failed { Response::Error(text) } else { Response::Output(text) };
    Ok(Said::FunctionResponse(FunctionResponse { id: given_id(id), name: &call.name, response }))
}

/// An id that the API gave.
fn given_id(id: &str) -> Option<&str> {
    (!id.starts_with(OWN_ID)).then_some(id)
}

/// Of calls side by side the first one is signed.
fn sign_foreign(parts: &mut [Part<'_>]) {
    let is_call = |part: &&mut Part<'_>| matches!(part.said, Some(Said::FunctionCall(_)));
    if let Some(first) = parts.iter_mut().find(is_call) {
        first.thought_signature.get_or_insert(Cow::Borrowed(FOREIGN_SIGNATURE));
    }
}

fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        _ => return None,
    })
}
