use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream;
use tokio::time::sleep;

use crate::llm::{
    Completion, CompletionEvent, CompletionRequest, CompletionStream, Content, EmbeddingRequest, Embeddings,
    FinishReason, LlmCapabilities, LlmProvider, Message, ModelInfo, Role, ToolCall, Usage,
};
use crate::{Error, ErrorKind, Result};

/// An [`LlmProvider`] that answers by a script and keeps what it was asked.
///
/// Each call takes the next step. A request that the capabilities do not cover takes none. A call beyond the end of
/// the script is an `internal` error, which no layer retries. Clones share the script and the record. Delays are in
/// tokio's time, so that a paused runtime passes them at once.
///
/// ```
/// use agentscale_core::testkit::ScriptedProvider;
/// use agentscale_core::{Error, ErrorKind, LlmProviderExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let provider = ScriptedProvider::new()
///     .with_error(Error::new(ErrorKind::Overloaded, "call the model"))
///     .with_answer("ten seconds");
/// assert_eq!(provider.ask("How long?").await.unwrap_err().kind(), ErrorKind::Overloaded);
/// assert_eq!(provider.ask("And now?").await.unwrap(), "ten seconds");
/// assert_eq!(provider.requests()[1].messages[0].text(), "And now?");
/// assert_eq!(provider.ask("More?").await.unwrap_err().kind(), ErrorKind::Internal);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ScriptedProvider {
    capabilities: LlmCapabilities,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    steps: VecDeque<Step>,
    repeated: Option<Step>,
    delay: Duration,
    embeddings: VecDeque<Vec<Vec<f32>>>,
    requests: Vec<CompletionRequest>,
    embedding_requests: Vec<EmbeddingRequest>,
}

#[derive(Clone, Debug)]
struct Step {
    delay: Duration,
    outcome: Outcome,
}

#[derive(Clone, Debug)]
enum Outcome {
    Answer(Completion),
    Fail(Error),
    /// A stream gives the text before it fails.
    BreakOff(String, Error),
    Hang,
}

impl Default for ScriptedProvider {
    fn default() -> Self {
        let capabilities = LlmCapabilities::new().with_tools().with_structured_output();
        let capabilities = capabilities.with_json_object().with_embeddings();
        Self { capabilities: capabilities.with_continuation(), shared: Arc::default() }
    }
}

impl ScriptedProvider {
    /// A provider that can do everything and whose script is empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what it can do.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: LlmCapabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Then it answers a text. A word counts as a token.
    #[must_use]
    pub fn with_answer(self, text: impl Into<String>) -> Self {
        let message = Message::assistant(text);
        let usage = Usage::new(0, words(&message.text()).count() as u64);
        self.with_completion(Completion::new(message, FinishReason::Stop, usage, "scripted"))
    }

    /// Then it asks for tool calls.
    #[must_use]
    pub fn with_tool_calls(self, calls: Vec<ToolCall>) -> Self {
        let message = Message::new(Role::Assistant, calls.into_iter().map(Content::ToolCall).collect());
        self.with_completion(Completion::new(message, FinishReason::ToolCalls, Usage::default(), "scripted"))
    }

    /// Then it gives this answer.
    #[must_use]
    pub fn with_completion(self, completion: Completion) -> Self {
        self.with(Outcome::Answer(completion))
    }

    /// Then it fails.
    #[must_use]
    pub fn with_error(self, error: Error) -> Self {
        self.with(Outcome::Fail(error))
    }

    /// Then it streams a text and fails; a call that does not stream fails at once.
    #[must_use]
    pub fn with_broken_stream(self, text: impl Into<String>, error: Error) -> Self {
        self.with(Outcome::BreakOff(text.into(), error))
    }

    /// Then it never answers one call.
    #[must_use]
    pub fn with_hang(self) -> Self {
        self.with(Outcome::Hang)
    }

    /// Waits before the step that is added next.
    #[must_use]
    pub fn with_delay(self, delay: Duration) -> Self {
        self.shared().delay = delay;
        self
    }

    /// Repeats the last step for ever.
    #[must_use]
    pub fn repeating(self) -> Self {
        {
            let mut shared = self.shared();
            shared.repeated = shared.steps.back().cloned();
        }
        self
    }

    /// Then it gives these vectors. Embedding calls have a script of their own.
    #[must_use]
    pub fn with_embeddings(self, vectors: Vec<Vec<f32>>) -> Self {
        self.shared().embeddings.push_back(vectors);
        self
    }

    /// What it was asked, refused requests included, in order.
    pub fn requests(&self) -> Vec<CompletionRequest> {
        self.shared().requests.clone()
    }

    /// What it was asked to embed, in order.
    pub fn embedding_requests(&self) -> Vec<EmbeddingRequest> {
        self.shared().embedding_requests.clone()
    }

    /// How many steps are left.
    pub fn remaining(&self) -> usize {
        self.shared().steps.len()
    }

    fn with(self, outcome: Outcome) -> Self {
        {
            let mut shared = self.shared();
            let delay = std::mem::take(&mut shared.delay);
            shared.steps.push_back(Step { delay, outcome });
        }
        self
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self, request: CompletionRequest) -> Result<Outcome> {
        let checked = self.capabilities.check(&request);
        let step = {
            let mut shared = self.shared();
            shared.requests.push(request);
            checked?;
            shared.steps.pop_front().or_else(|| shared.repeated.clone()).ok_or_else(out_of_steps)?
        };
        sleep(step.delay).await;
        match step.outcome {
            Outcome::Hang => std::future::pending().await,
            Outcome::Fail(error) => Err(error),
            outcome => Ok(outcome),
        }
    }
}

#[async_trait]
impl LlmProvider for ScriptedProvider {
    fn capabilities(&self) -> LlmCapabilities {
        self.capabilities
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        match self.next(request).await? {
            Outcome::Answer(completion) => Ok(completion),
            Outcome::BreakOff(_, error) | Outcome::Fail(error) => Err(error),
            Outcome::Hang => std::future::pending().await,
        }
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let items: Vec<_> = match self.next(request).await? {
            Outcome::Answer(completion) => return Ok(CompletionStream::from_completion(completion)),
            Outcome::BreakOff(text, error) => {
                words(&text).map(CompletionEvent::Text).map(Ok).chain([Err(error)]).collect()
            }
            Outcome::Fail(error) => vec![Err(error)],
            Outcome::Hang => return Ok(CompletionStream::new(stream::pending())),
        };
        Ok(CompletionStream::from_events(items))
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        let mut shared = self.shared();
        shared.embedding_requests.push(request);
        if !self.capabilities.embeddings {
            return Err(Error::new(ErrorKind::Unsupported, "embed by the script"));
        }
        let vectors = shared.embeddings.pop_front().ok_or_else(out_of_steps)?;
        Ok(Embeddings::new(vectors, Usage::default(), "scripted"))
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_inclusive(' ').map(str::to_owned)
}

fn out_of_steps() -> Error {
    Error::new(ErrorKind::Internal, "answer by the script").with_context("reason", "no step is left")
}
