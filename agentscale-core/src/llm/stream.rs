use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;

use super::{Completion, Content, RateLimits, Reasoning, ToolCall};
use crate::{Error, ErrorKind, Result};

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompletionEvent {
    /// More of the text.
    Text(String),
    /// More of what the model thinks before it speaks.
    Reasoning(String),
    /// A tool call begins: told once for each call of the answer, before the first of its arguments. What it tells
    /// stands so in the call of `Finished`.
    ToolCallStarted {
        /// The place of the call in the answer, from 0.
        index: u32,
        /// What the tool's result will name.
        id: String,
        /// The tool.
        name: String,
        /// What the API wants back with the call, as in [`ToolCall::signature`](super::ToolCall::signature).
        signature: Option<String>,
    },
    /// More of a tool call's arguments, as they arrive; the call is whole in `Finished`.
    ToolArguments {
        /// The place of the call in the answer, from 0.
        index: u32,
        /// A piece of the JSON text.
        fragment: String,
    },
    /// The whole answer; nothing comes behind it.
    Finished(Completion),
}

impl CompletionEvent {
    /// What a stream of `completion` gives before it has finished: its text word by word, its thoughts in one piece
    /// each, its calls as their start and their arguments. For providers that have an answer whole.
    ///
    /// ```
    /// use agentscale_core::llm::{Completion, CompletionEvent, FinishReason, Message, Usage};
    ///
    /// let message = Message::assistant("ten seconds");
    /// let answer = Completion::new(message, FinishReason::Stop, Usage::new(5, 2), "m");
    /// let parts = ["ten ", "seconds"].map(|word| CompletionEvent::Text(word.to_owned()));
    /// assert_eq!(CompletionEvent::parts_of(&answer), parts);
    /// ```
    pub fn parts_of(completion: &Completion) -> Vec<Self> {
        let mut calls = 0..;
        let mut parts = Vec::new();
        for part in &completion.message.content {
            match part {
                Content::Text { text } => {
                    parts.extend(text.split_inclusive(' ').map(|word| Self::Text(word.to_owned())));
                }
                Content::Reasoning(Reasoning { text, .. }) if !text.is_empty() => {
                    parts.push(Self::Reasoning(text.clone()));
                }
                Content::ToolCall(call) => {
                    parts.extend(calls.next().into_iter().flat_map(|index| Self::parts_of_call(index, call)));
                }
                _ => {}
            }
        }
        parts
    }

    fn parts_of_call(index: u32, call: &ToolCall) -> [Self; 2] {
        let ToolCall { id, name, signature, .. } = call.clone();
        let fragment = call.arguments.as_str().to_owned();
        [Self::ToolCallStarted { index, id, name, signature }, Self::ToolArguments { index, fragment }]
    }
}

/// An answer in parts. Dropping it ends the call.
pub struct CompletionStream {
    events: Pin<Box<dyn Stream<Item = Result<CompletionEvent>> + Send>>,
    rate_limits: RateLimits,
    over: bool,
}

impl CompletionStream {
    /// A stream of events; one that ends without `Finished` or an error becomes an `unavailable` error.
    pub fn new(events: impl Stream<Item = Result<CompletionEvent>> + Send + 'static) -> Self {
        Self { events: Box::pin(events), rate_limits: RateLimits::default(), over: false }
    }

    /// Adds what the provider said of its limits before the first event.
    #[must_use]
    pub fn with_rate_limits(mut self, limits: RateLimits) -> Self {
        self.rate_limits = limits;
        self
    }

    /// What the provider said of its limits before the first event.
    pub fn rate_limits(&self) -> &RateLimits {
        &self.rate_limits
    }

    /// A stream of events that are there already.
    pub fn from_events<I>(events: I) -> Self
    where
        I: IntoIterator<Item = Result<CompletionEvent>>,
        I::IntoIter: Send + 'static,
    {
        Self::new(futures::stream::iter(events))
    }

    /// An answer that is there already, in [its parts](CompletionEvent::parts_of).
    pub fn from_completion(completion: Completion) -> Self {
        let parts = CompletionEvent::parts_of(&completion);
        Self::from_events(parts.into_iter().chain([CompletionEvent::Finished(completion)]).map(Ok))
    }

    /// The next event; `None` behind `Finished` or an error.
    ///
    /// # Cancel safety
    /// A dropped future loses no event.
    pub async fn next(&mut self) -> Option<Result<CompletionEvent>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// The stream's error.
    pub async fn collect(mut self) -> Result<Completion> {
        while let Some(event) = self.next().await {
            if let CompletionEvent::Finished(completion) = event? {
                return Ok(completion);
            }
        }
        Err(broken_off())
    }
}

impl Stream for CompletionStream {
    type Item = Result<CompletionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let event = match self.events.as_mut().poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(event) => event.unwrap_or_else(|| Err(broken_off())),
        };
        self.over = matches!(event, Err(_) | Ok(CompletionEvent::Finished(_)));
        Poll::Ready(Some(event))
    }
}

impl fmt::Debug for CompletionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionStream").field("over", &self.over).finish_non_exhaustive()
    }
}

fn broken_off() -> Error {
    Error::new(ErrorKind::Unavailable, "read completion stream")
        .with_context("reason", "ended before its last event")
}
