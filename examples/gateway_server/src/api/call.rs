use std::future::Future;
use std::sync::Arc;

use agentscale::core::llm::CallContext;
use agentscale::core::time::Clock;
use agentscale::core::{Deadline, Error, ErrorKind, Priority, Result};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::Span;

use super::error::ApiError;
use crate::app::App;
use crate::auth::Principal;
use crate::observe::Counted;
use crate::server::Cut;

const TIMEOUT: &str = "x-request-timeout-ms";
const PRIORITY: &str = "x-priority";
const SESSION: &str = "x-session-id";

/// A longer name of a session goes on as its hash: a call keeps it, and only whether two are the same counts.
const LONG_SESSION_BYTES: usize = 256;

/// One call of a model: for whom, until when, and counted while it lasts.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) context: CallContext,
    until: Instant,
    cut: Cut,
    /// Names the request in the log.
    pub(crate) span: Span,
    _counted: Counted,
}

impl Call {
    /// What the caller's key and the headers say. `sessions` are what the body says its session is, the first that is
    /// there counts, behind the header.
    ///
    /// # Errors
    /// For a model that the key may not call, or a header that says nothing or too much.
    pub(crate) fn new<'a>(
        app: &App,
        principal: &Principal,
        headers: &'a HeaderMap,
        model: &str,
        sessions: impl IntoIterator<Item = Option<&'a str>>,
    ) -> Result<Self, ApiError> {
        if model.is_empty() {
            return Err(ApiError::missing("model"));
        }
        if !principal.may_call(model) {
            return Err(ApiError::no_such_model(model));
        }
        let asked = header(headers, TIMEOUT)?.map(str::parse).transpose().ok().filter(|ms| *ms != Some(0));
        let asked = asked.ok_or_else(|| ApiError::invalid_param(TIMEOUT, "Not a number of milliseconds."))?;
        let timeout = app.config.limits.request_timeout(asked);
        let priority = principal.priority(header(headers, PRIORITY)?.map(priority).transpose()?);
        let priority =
            priority.ok_or_else(|| ApiError::forbidden("Your key does not allow calls of this priority."))?;
        let session = std::iter::once(header(headers, SESSION)?).chain(sessions).flatten().next();
        let mut context = CallContext::new()
            .with_tenant(principal.tenant.clone())
            .with_priority(priority)
            .with_deadline(Deadline::after(app.clock.unix_micros(), timeout));
        context.account = principal.account.clone();
        context.session = session.map(name_of_session);
        Ok(Self {
            context,
            until: Instant::now() + timeout,
            cut: app.drain.cut(),
            span: Span::current(),
            _counted: Counted::new(&app.metrics.calls),
        })
    }

    /// Waits for `work`, as long as there is time and the server stays.
    ///
    /// # Errors
    /// Those of `work`; that its time is over; that the server goes down.
    pub(crate) async fn run<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T, ApiError> {
        tokio::select! {
            // First, or a stream whose parts are always there would never be cut.
            biased;
            () = self.cut.came() => Err(ApiError::draining()),
            done = timeout_at(self.until, work) => match done {
                Ok(done) => done.map_err(ApiError::from),
                Err(_) => Err(Error::new(ErrorKind::DeadlineExceeded, "answer a request").into()),
            },
        }
    }

    /// Ends when the call has no more time, or the server goes down.
    pub(crate) fn end(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut cut, until) = (self.cut.clone(), self.until);
        async move {
            tokio::select! {
                () = cut.came() => {}
                () = sleep_until(until) => {}
            }
        }
    }
}

/// What a header says; an empty one says nothing.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes());
    let text = text.map_err(|_| ApiError::invalid_param(name, "Not a text of UTF-8."))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn name_of_session(session: &str) -> String {
    match session.len() {
        ..=LONG_SESSION_BYTES => session.to_owned(),
        _ => blake3::hash(session.as_bytes()).to_hex().to_string(),
    }
}

fn priority(name: &str) -> Result<Priority, ApiError> {
    let name: StrDeserializer<'_, ValueError> = name.into_deserializer();
    Priority::deserialize(name).map_err(|error| ApiError::invalid_param(PRIORITY, error.to_string()))
}

/// The principal that `auth` put into a request's extensions.
pub(crate) type Caller = axum::Extension<Arc<Principal>>;

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_session_of_any_length_is_told_apart_from_others() {
        let long = "x".repeat(10_000);
        assert_eq!(name_of_session("run-7"), "run-7");
        assert_eq!(name_of_session(&long), name_of_session(&long));
        assert_ne!(name_of_session(&long), name_of_session(&long[1..]));
        assert!(name_of_session(&long).len() <= LONG_SESSION_BYTES);
    }

    #[test]
    fn a_header_that_is_no_text_is_refused_and_not_passed_over() {
        let mut headers = HeaderMap::new();
        assert_eq!(header(&headers, SESSION).unwrap(), None);
        headers.insert(SESSION, HeaderValue::from_str("Zoë").unwrap());
        assert_eq!(header(&headers, SESSION).unwrap(), Some("Zoë"));
        headers.insert(SESSION, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(header(&headers, SESSION).unwrap_err().body().error.param, Some(SESSION));
    }
}
