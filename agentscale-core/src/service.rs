//! The traits' calls as tower services, and services as implementations of the traits.
//!
//! A service shares what it wraps with its clones, is always ready, and puts no future of its own around the call: limits
//! and waits are the layers' work. On the way back each call clones the stack, waits until it is ready and calls it,
//! so that the layers' state must be shared by their clones, as that of [`layers`](crate::layers) is.
//!
//! ```
//! use agentscale_core::layers::{Component, RetryLayer};
//! use agentscale_core::service::ServiceLlmProvider;
//! # use agentscale_core::testkit::ScriptedProvider;
//! use agentscale_core::{Error, ErrorKind, LlmProviderExt};
//! use tower::ServiceBuilder;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # tokio::time::pause();
//! # let provider = ScriptedProvider::new().with_error(Error::new(ErrorKind::Overloaded, "call")).with_answer("ten seconds");
//! let stack = ServiceBuilder::new().layer(RetryLayer::new(Component::Llm.retry()).unwrap());
//! let provider = ServiceLlmProvider::layered(provider, &stack);
//! assert_eq!(provider.ask("How long?").await.unwrap(), "ten seconds");
//! # }
//! ```
//!
//! | trait | service | calls | back |
//! |---|---|---|---|
//! | [`LlmProvider`](crate::LlmProvider) | [`LlmService`] | complete, stream, embed | [`ServiceLlmProvider`] |
//! | [`KnowledgeClient`](crate::KnowledgeClient) | [`KnowledgeService`] | query | [`ServiceKnowledgeClient`] |
//! | [`CheckpointStore`](crate::CheckpointStore) | [`CheckpointService`] | commit | [`ServiceCheckpointStore`] |
//! | [`Transport`](crate::Transport) | [`TransportService`] | request | [`ServiceTransport`] |

use std::future::{Future, poll_fn};
use std::pin::Pin;

use tower_service::Service;

use crate::{Error, Result};

mod checkpoint;
mod knowledge;
mod llm;
mod transport;

pub use checkpoint::{CheckpointService, ServiceCheckpointStore};
pub use knowledge::{KnowledgeService, ServiceKnowledgeClient};
pub use llm::{LlmService, ServiceLlmProvider, StreamRequest};
pub use transport::{ServiceTransport, TransportService};

/// The future of the services here: the one that the trait's method gave.
pub type ServiceFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// One call through a stack.
async fn call<S, Q>(stack: &S, request: Q) -> Result<S::Response>
where
    S: Service<Q, Error = Error> + Clone,
{
    let mut stack = stack.clone();
    poll_fn(|context| stack.poll_ready(context)).await?;
    stack.call(request).await
}

/// A service that shares an implementation of a trait.
macro_rules! shared_service {
    ($(#[$doc:meta])* $service:ident over $role:ident: $($request:ty => $response:ty: |$inner:ident, $asked:ident| $call:expr;)+) => {
        $(#[$doc])*
        pub struct $service<T>(std::sync::Arc<T>);

        impl<T: $role> $service<T> {
            /// Shares `inner` with the service's clones.
            pub fn new(inner: T) -> Self {
                Self(std::sync::Arc::new(inner))
            }
        }

        impl<T> Clone for $service<T> {
            fn clone(&self) -> Self {
                Self(std::sync::Arc::clone(&self.0))
            }
        }

        impl<T: std::fmt::Debug> std::fmt::Debug for $service<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($service)).field(&self.0).finish()
            }
        }

        $(impl<T: $role> tower_service::Service<$request> for $service<T> {
            type Response = $response;
            type Error = crate::Error;
            type Future = crate::service::ServiceFuture<$response>;

            fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<crate::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, $asked: $request) -> Self::Future {
                let $inner = std::sync::Arc::clone(&self.0);
                Box::pin(async move { $call.await })
            }
        })+
    };
}
use shared_service;
