use agentscale::core::llm::{self, Completion, Content, FinishReason, ToolCall};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::call_id;
use crate::api::heading::Heading;

/// A whole answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatAnswer {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    choices: [Choice; 1],
    usage: Usage,
}

#[derive(Debug, Serialize, ToSchema)]
struct Choice {
    index: u32,
    message: AnsweredMessage,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct AnsweredMessage {
    role: &'static str,
    content: Option<String>,
    refusal: Option<()>,
    /// What the model thought, under the name that compatible servers give it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<AnsweredCall>,
}

/// A call that the model asks for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnsweredCall {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: AnsweredFunction,
}

#[derive(Debug, Serialize, ToSchema)]
struct AnsweredFunction {
    name: String,
    arguments: String,
}

/// Tokens of a call.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct PromptDetails {
    cached_tokens: u64,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl ChatAnswer {
    pub(super) fn new(heading: Heading, completion: &Completion) -> Self {
        let message = &completion.message;
        let calls: Vec<_> = message.tool_calls().map(AnsweredCall::new).collect();
        let text = message.text();
        let message = AnsweredMessage {
            role: "assistant",
            content: (!text.is_empty() || calls.is_empty()).then_some(text),
            refusal: None,
            reasoning_content: thoughts(&message.content),
            tool_calls: calls,
        };
        let finish_reason = finish_reason(completion.finish_reason);
        Self {
            id: heading.id,
            object: "chat.completion",
            created: heading.created,
            model: heading.model,
            choices: [Choice { index: 0, message, logprobs: None, finish_reason }],
            usage: completion.usage.into(),
        }
    }
}

impl AnsweredCall {
    pub(super) fn new(call: &ToolCall) -> Self {
        let function =
            AnsweredFunction { name: call.name.clone(), arguments: call.arguments.as_str().to_owned() };
        Self { id: call_id::shown(&call.id, call.signature.as_deref()), kind: "function", function }
    }
}

impl From<llm::Usage> for Usage {
    fn from(usage: llm::Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens + usage.output_tokens,
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached_input_tokens },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.reasoning_tokens },
        }
    }
}

pub(super) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        _ => "stop",
    }
}

fn thoughts(content: &[Content]) -> Option<String> {
    let texts = content.iter().filter_map(|part| match part {
        Content::Reasoning(reasoning) => Some(reasoning.text.as_str()),
        _ => None,
    });
    Some(texts.collect::<String>()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::Json;
    use agentscale::core::llm::{Message, Reasoning, Role};
    use serde_json::json;

    #[test]
    fn an_answer_with_calls_says_all_that_clients_read() {
        let content = vec![
            Content::Reasoning(Reasoning::new("hm")),
            Content::ToolCall(ToolCall::new("c1", "look", Json::parse(r#"{"x":1}"#).unwrap())),
        ];
        let usage = llm::Usage::new(10, 5).with_cached(4).with_reasoning(2);
        let completion =
            Completion::new(Message::new(Role::Assistant, content), FinishReason::ToolCalls, usage, "inner");
        let heading = Heading { id: "chatcmpl-1".to_owned(), created: 7, model: "fast".to_owned() };
        assert_eq!(
            serde_json::to_value(ChatAnswer::new(heading, &completion)).unwrap(),
            json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "fast",
                "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
                    "role": "assistant", "content": null, "refusal": null, "reasoning_content": "hm",
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"x\":1}"}}],
                }}],
                "usage": {
                    "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                    "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2},
                },
            })
        );
    }
}
