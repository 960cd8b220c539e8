use agentscale::core::llm::{self, Completion, Content, FinishReason, Message, ToolCall};
use serde::Serialize;
use utoipa::ToSchema;

use super::About;
use super::request::Echo;
use super::thought::{self, Shown};
use crate::api::call_id;
use crate::api::error::ApiError;

/// A response, as it begins, ended or failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResponseObject<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    /// `in_progress`, `completed`, `incomplete`, `failed`.
    status: &'static str,
    background: bool,
    error: Option<Failure<'a>>,
    incomplete_details: Option<Incomplete>,
    model: &'a str,
    output: &'a [OutputItem],
    parallel_tool_calls: bool,
    previous_response_id: Option<()>,
    store: bool,
    usage: Option<ResponseUsage>,
    #[serde(flatten)]
    echo: &'a Echo,
}

#[derive(Debug, Serialize, ToSchema)]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Debug, Serialize, ToSchema)]
struct Incomplete {
    reason: &'static str,
}

/// What the model said, thought or called.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutputItem {
    Message { id: String, status: &'static str, role: &'static str, content: Vec<TextPart> },
    Reasoning { id: String, summary: Vec<SummaryPart>, encrypted_content: Option<String> },
    FunctionCall { id: String, status: &'static str, call_id: String, name: String, arguments: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename = "output_text")]
pub(super) struct TextPart {
    text: String,
    #[schema(value_type = Vec<Object>)]
    annotations: [(); 0],
    #[schema(value_type = Vec<Object>)]
    logprobs: [(); 0],
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename = "summary_text")]
pub(super) struct SummaryPart {
    text: String,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct ResponseUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct InputDetails {
    cached_tokens: u64,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl<'a> ResponseObject<'a> {
    pub(super) fn begun(about: &'a About) -> Self {
        Self {
            id: &about.heading.id,
            object: "response",
            created_at: about.heading.created,
            status: "in_progress",
            background: false,
            error: None,
            incomplete_details: None,
            model: &about.heading.model,
            output: &[],
            parallel_tool_calls: true,
            previous_response_id: None,
            store: false,
            usage: None,
            echo: &about.echo,
        }
    }

    pub(super) fn ended(about: &'a About, output: &'a [OutputItem], completion: &Completion) -> Self {
        let cut = match completion.finish_reason {
            FinishReason::Length => Some(Incomplete { reason: "max_output_tokens" }),
            FinishReason::ContentFilter => Some(Incomplete { reason: "content_filter" }),
            _ => None,
        };
        Self {
            status: if cut.is_some() { "incomplete" } else { "completed" },
            incomplete_details: cut,
            output,
            usage: Some(completion.usage.into()),
            ..Self::begun(about)
        }
    }

    pub(super) fn failed(about: &'a About, error: &'a ApiError) -> Self {
        let failure = Failure { code: error.code(), message: error.message() };
        Self { status: "failed", error: Some(failure), ..Self::begun(about) }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.incomplete_details.is_none()
    }
}

/// The items of a whole answer.
pub(super) fn output(about: &About, message: &Message) -> Vec<OutputItem> {
    let mut items: Vec<OutputItem> = Vec::new();
    for part in &message.content {
        let place = items.len();
        match (part, items.last_mut()) {
            (Content::Text { text }, Some(OutputItem::Message { content, .. })) => {
                content.push(TextPart::new(text.clone()));
            }
            (Content::Text { text }, _) => items.push(OutputItem::message(about, place, text.clone())),
            (Content::Reasoning(thought), _) => {
                let sealed = sealed(about, thought);
                items.push(OutputItem::reasoning(about, place, thought.text.clone(), sealed));
            }
            (Content::ToolCall(call), _) => items.push(OutputItem::call(about, place, call)),
            _ => {}
        }
    }
    items
}

/// What goes back with a thought, for callers that want it.
pub(super) fn sealed(about: &About, thought: &llm::Reasoning) -> Option<String> {
    thought.opaque.as_ref().filter(|_| about.thoughts == Shown::Encrypted).and_then(thought::seal)
}

impl OutputItem {
    pub(super) fn message(about: &About, place: usize, text: String) -> Self {
        let (id, content) = (about.item_id("msg", place), vec![TextPart::new(text)]);
        Self::Message { id, status: "completed", role: "assistant", content }
    }

    pub(super) fn reasoning(about: &About, place: usize, text: String, sealed: Option<String>) -> Self {
        let summary = if text.is_empty() { Vec::new() } else { vec![SummaryPart::new(text)] };
        Self::Reasoning { id: about.item_id("rs", place), summary, encrypted_content: sealed }
    }

    pub(super) fn call(about: &About, place: usize, call: &ToolCall) -> Self {
        let begun = Self::call_begun(about, place, &call.id, &call.name, call.signature.as_deref());
        begun.with_arguments(call.arguments.as_str().to_owned())
    }

    /// A call before any of its arguments have come.
    pub(super) fn call_begun(
        about: &About,
        place: usize,
        id: &str,
        name: &str,
        signature: Option<&str>,
    ) -> Self {
        Self::FunctionCall {
            id: about.item_id("fc", place),
            status: "in_progress",
            call_id: call_id::shown(id, signature),
            name: name.to_owned(),
            arguments: String::new(),
        }
    }

    /// The call once its arguments are whole.
    pub(super) fn with_arguments(mut self, whole: String) -> Self {
        if let Self::FunctionCall { status, arguments, .. } = &mut self {
            (*status, *arguments) = ("completed", whole);
        }
        self
    }

    /// The tool, of a call.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::FunctionCall { name, .. } => Some(name),
            _ => None,
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Message { id, .. } | Self::Reasoning { id, .. } | Self::FunctionCall { id, .. } => id,
        }
    }

    /// The same item before anything of it has come.
    pub(super) fn begun(&self) -> Self {
        let mut begun = self.clone();
        match &mut begun {
            Self::Message { status, content, .. } => {
                *status = "in_progress";
                content.clear();
            }
            Self::Reasoning { summary, encrypted_content, .. } => {
                summary.clear();
                *encrypted_content = None;
            }
            Self::FunctionCall { status, arguments, .. } => {
                *status = "in_progress";
                arguments.clear();
            }
        }
        begun
    }
}

impl TextPart {
    pub(super) fn new(text: String) -> Self {
        Self { text, annotations: [], logprobs: [] }
    }
}

impl SummaryPart {
    pub(super) fn new(text: String) -> Self {
        Self { text }
    }
}

impl About {
    fn item_id(&self, kind: &str, place: usize) -> String {
        let id = self.heading.id.strip_prefix("resp_").unwrap_or(&self.heading.id);
        format!("{kind}_{id}_{place}")
    }
}

impl From<llm::Usage> for ResponseUsage {
    fn from(usage: llm::Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            input_tokens_details: InputDetails { cached_tokens: usage.cached_input_tokens },
            output_tokens: usage.output_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning_tokens },
            total_tokens: usage.input_tokens + usage.output_tokens,
        }
    }
}
