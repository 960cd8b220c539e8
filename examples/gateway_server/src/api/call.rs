use std::future::Future;
use std::sync::Arc;

use agentscale::core::llm::CallContext;
use agentscale::core::metrics::Gauge;
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
use crate::server::Cut;

const TIMEOUT: &str = "x-request-timeout-ms";
const PRIORITY: &str = "x-priority";
const SESSION: &str = "x-session-id";

/// The longest session in bytes; it is a name and no place to keep things.
const MAX_SESSION_BYTES: usize = 256;

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

/// Counts one call as long as it lasts.
#[derive(Debug)]
struct Counted(Gauge);

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
        let asked = header(headers, TIMEOUT).map(str::parse).transpose().ok().filter(|ms| *ms != Some(0));
        let asked = asked.ok_or_else(|| ApiError::invalid_param(TIMEOUT, "Not a number of milliseconds."))?;
        let timeout = app.config.limits.request_timeout(asked);
        let priority = principal.priority(header(headers, PRIORITY).map(priority).transpose()?);
        let priority =
            priority.ok_or_else(|| ApiError::forbidden("Your key does not allow calls of this priority."))?;
        let session = std::iter::once(header(headers, SESSION)).chain(sessions).flatten().next();
        let mut context = CallContext::new()
            .with_tenant(principal.tenant.clone())
            .with_priority(priority)
            .with_deadline(Deadline::after(app.clock.unix_micros(), timeout));
        context.account = principal.account.clone();
        context.session = session.filter(|session| session.len() <= MAX_SESSION_BYTES).map(str::to_owned);
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

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.add(1);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.is_empty())
}

fn priority(name: &str) -> Result<Priority, ApiError> {
    let name: StrDeserializer<'_, ValueError> = name.into_deserializer();
    Priority::deserialize(name).map_err(|error| ApiError::invalid_param(PRIORITY, error.to_string()))
}

/// The principal that `auth` put into a request's extensions.
pub(crate) type Caller = axum::Extension<Arc<Principal>>;
