use agentscale_core::llm::{CompletionRequest, Content, ReasoningEffort, Role};

use super::wire::{Thinking, ToolChoice};
use crate::anthropic::{API_NAME, ThinkingForm, family};

/// The least that the API takes.
const MIN_BUDGET: u32 = 1_024;

/// How the model is asked to think, and its effort. Without an effort in the request nothing is said.
pub(super) fn of(
    request: &CompletionRequest,
    model: &str,
    form: ThinkingForm,
    max_tokens: u32,
    tool_choice: Option<&ToolChoice<'_>>,
) -> (Option<Thinking>, Option<&'static str>) {
    let Some(effort) = request.reasoning_effort else {
        return (None, None);
    };
    match form {
        ThinkingForm::Adaptive if effort == ReasoningEffort::Minimal => (None, Some("low")),
        ThinkingForm::Adaptive if demands(tool_choice) && !family::thinks_beside_a_demand(model) => {
            (None, Some(name(effort)))
        }
        ThinkingForm::Adaptive => (Some(Thinking::Adaptive), Some(name(effort))),
        ThinkingForm::Budget if can_have_budget(request, tool_choice) => (budget(effort, max_tokens), None),
        _ => (None, None),
    }
}

/// The budget counts into the longest answer and must be below it. One that is too short leaves no room to think.
fn budget(effort: ReasoningEffort, max_tokens: u32) -> Option<Thinking> {
    let percent = match effort {
        ReasoningEffort::Low => 25,
        ReasoningEffort::Medium => 50,
        ReasoningEffort::High => 80,
        _ => return None,
    };
    let share = u64::from(max_tokens) * percent / 100;
    let budget_tokens = u32::try_from(share).unwrap_or(u32::MAX).max(MIN_BUDGET);
    (budget_tokens < max_tokens).then_some(Thinking::Enabled { budget_tokens })
}

/// With a budget the API refuses a demanded tool, and a conversation that goes on behind a tool call without the
/// thoughts that led to it, as one that another provider began. The demand and the conversation stand; the thinking is
/// a wish.
fn can_have_budget(request: &CompletionRequest, tool_choice: Option<&ToolChoice<'_>>) -> bool {
    let last = request.messages.iter().rfind(|message| message.role == Role::Assistant);
    let is_signed = |part: &Content| match part {
        Content::Reasoning(reasoning) => reasoning.opaque_of(API_NAME).is_some(),
        _ => false,
    };
    let calls_unthought = last.is_some_and(|message| {
        message.tool_calls().next().is_some() && !message.content.iter().any(is_signed)
    });
    !demands(tool_choice) && !calls_unthought
}

fn demands(tool_choice: Option<&ToolChoice<'_>>) -> bool {
    matches!(tool_choice, Some(ToolChoice::Any | ToolChoice::Tool { .. }))
}

fn name(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High => "high",
        _ => "low",
    }
}
