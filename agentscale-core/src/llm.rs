//! Language models: one vocabulary for every provider.
//!
//! `docs/write-a-provider.md` shows how to write one.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::{Error, ErrorKind, Result};

mod answer;
mod context;
mod embed;
mod ext;
mod image;
mod limits;
mod message;
mod model;
mod prompt_cache;
mod reasoning;
mod request;
mod stream;

pub use answer::{Completion, FinishReason, PartialAnswer, Usage};
pub use context::CallContext;
pub use embed::{EmbeddingRequest, Embeddings};
pub use ext::LlmProviderExt;
pub use image::Image;
pub use limits::{LimitWindow, LimitedUnit, RateLimit, RateLimits};
pub use message::{Content, Message, Role, ToolCall};
pub use model::{LlmCapabilities, ModelInfo};
pub use prompt_cache::{CacheRetention, PromptCache};
pub use reasoning::{Opaque, Reasoning, ReasoningEffort};
pub use request::{CompletionRequest, ResponseFormat, ToolChoice, ToolSpec};
pub use stream::{CompletionEvent, CompletionStream};

/// Answers completion and embedding requests.
///
/// # For callers
/// Deadlines are the caller's: drop the future, or put a timeout layer before the provider.
///
/// # For implementors
/// An answer that broke off is an error, never a short [`Completion`]; what had come is its [`PartialAnswer`]. A request without messages is
/// `invalid_input`, one that demands more than the capabilities name is `unsupported` and never half done
/// ([`LlmCapabilities::check`] says both). Errors carry the kind that a caller acts
/// on: `rate_limited` and `overloaded` with their `retry_after` where the other side gave one, `unauthenticated`
/// for a bad key, `context_too_long`, `content_refused`, `quota_exceeded`, `unavailable`. What the other side says of
/// its limits goes with the answer or the error as [`RateLimits`]. No prompt text and no key stands in an error. The promises are the named tests of the conformance suite.
///
/// # Cancel safety
/// A dropped future or stream ends the call at the provider as far as the wire allows it.
#[async_trait]
pub trait LlmProvider: Debug + Send + Sync + 'static {
    /// What this provider can do, with one of its models at least.
    fn capabilities(&self) -> LlmCapabilities;

    /// What it can do with `model`, a name as in requests, as far as it knows: all that it can unless implemented.
    fn capabilities_of(&self, model: &str) -> LlmCapabilities {
        let _ = model;
        self.capabilities()
    }

    /// The models it knows, with their limits; empty where any name is passed on.
    fn models(&self) -> Vec<ModelInfo>;

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// As in the trait's documentation; `not_found` for an unknown model.
    async fn complete(&self, request: CompletionRequest) -> Result<Completion>;

    /// Asks for an answer in parts. Exactly one [`CompletionEvent::Finished`] ends a stream without an error.
    ///
    /// # Errors
    /// Before the first part as for [`complete`](Self::complete); later as the stream's last item.
    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream>;

    /// Embeds texts: one vector a text, in their order.
    ///
    /// # Errors
    /// As in the trait's documentation; `unsupported` where there are no embeddings.
    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        let _ = request;
        Err(Error::new(ErrorKind::Unsupported, "embed"))
    }
}

macro_rules! forward {
    ($pointer:ident) => {
        // Written out: a call through a pointer is the call itself, in no box of its own.
        #[deny(clippy::missing_trait_methods)]
        impl<T: LlmProvider + ?Sized> LlmProvider for $pointer<T> {
            fn capabilities(&self) -> LlmCapabilities {
                (**self).capabilities()
            }
            fn capabilities_of(&self, model: &str) -> LlmCapabilities {
                (**self).capabilities_of(model)
            }
            fn models(&self) -> Vec<ModelInfo> {
                (**self).models()
            }
            fn complete<'a, 'b>(&'a self, request: CompletionRequest) -> BoxFuture<'b, Result<Completion>>
            where
                'a: 'b,
                Self: 'b,
            {
                (**self).complete(request)
            }
            fn stream<'a, 'b>(&'a self, request: CompletionRequest) -> BoxFuture<'b, Result<CompletionStream>>
            where
                'a: 'b,
                Self: 'b,
            {
                (**self).stream(request)
            }
            fn embed<'a, 'b>(&'a self, request: EmbeddingRequest) -> BoxFuture<'b, Result<Embeddings>>
            where
                'a: 'b,
                Self: 'b,
            {
                (**self).embed(request)
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Compiles and runs the examples of the page.
#[cfg(all(doctest, feature = "conformance"))]
#[doc = include_str!("../../docs/write-a-provider.md")]
struct WriteAProvider;
