//! Answers as a stream of server-sent events. The client pulls: what it does not read is not asked of the provider,
//! and when it goes away the provider's answer is dropped.

use std::convert::Infallible;

use agentscale::core::llm::{CompletionEvent, CompletionStream};
use agentscale::core::{Error, ErrorKind};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde::Serialize;

use super::call::Call;
use super::error::ApiError;
use super::parts::Parts;

/// How an API writes an answer as events.
pub(crate) trait Events: Send + 'static {
    /// What comes before the first part.
    fn begin(&mut self, out: &mut EventText);
    /// A part of the answer; behind `Finished` all that ends the stream.
    fn part(&mut self, part: CompletionEvent, out: &mut EventText);
    /// The answer broke off.
    fn fail(&mut self, error: &ApiError, out: &mut EventText);
}

/// Events as text.
#[derive(Debug, Default)]
pub(crate) struct EventText(Vec<u8>);

impl EventText {
    /// An event without a name.
    pub(crate) fn data<T: Serialize + ?Sized>(&mut self, data: &T) {
        let begun = self.0.len();
        self.0.extend_from_slice(b"data: ");
        if let Err(error) = serde_json::to_writer(&mut self.0, data) {
            // Half an event is none; the values that are written here are all JSON.
            self.0.truncate(begun);
            tracing::error!(%error, "write an event");
            return;
        }
        self.0.extend_from_slice(b"\n\n");
    }

    /// An event with a name.
    pub(crate) fn named<T: Serialize + ?Sized>(&mut self, name: &str, data: &T) {
        self.raw("event: ");
        self.raw(name);
        self.raw("\n");
        self.data(data);
    }

    /// Text as it stands.
    pub(crate) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap()
    }
}

struct Answering<E> {
    parts: Parts,
    events: E,
    call: Call,
    begun: bool,
    over: bool,
}

/// The response that sends `parts` as `events`, for as long as `call` may last.
pub(crate) fn respond(parts: CompletionStream, events: impl Events, call: Call) -> Response {
    let parts = Parts::new(parts, call.end());
    let answering = Answering { parts, events, call, begun: false, over: false };
    let body = stream::unfold(answering, |mut answering| async move {
        let text = answering.next().await?;
        Some((Ok::<_, Infallible>(text), answering))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        // nginx holds answers back otherwise.
        (axum::http::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

impl<E: Events> Answering<E> {
    /// The next events that are worth sending; `None` behind the last.
    async fn next(&mut self) -> Option<Bytes> {
        let mut text = EventText::default();
        if !self.begun {
            self.begun = true;
            self.events.begin(&mut text);
            return Some(text.0.into());
        }
        while text.0.is_empty() {
            if self.over {
                return None;
            }
            self.part(&mut text).await;
        }
        Some(text.0.into())
    }

    async fn part(&mut self, text: &mut EventText) {
        let parts = &self.parts;
        let next = async {
            parts.next().await.unwrap_or_else(|| Err(Error::new(ErrorKind::Unavailable, "read an answer")))
        };
        match self.call.run(next).await {
            Ok(part) => {
                self.over = matches!(part, CompletionEvent::Finished(_));
                self.events.part(part, text);
            }
            Err(error) => {
                self.over = true;
                tracing::warn!(
                    parent: &self.call.span,
                    code = error.code(),
                    cause = error.cause().map(tracing::field::display),
                    "a stream broke off"
                );
                self.events.fail(&error, text);
            }
        }
    }
}
