//! What is told of each request: an id in its answer, a line in the log, a number in the metrics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use agentscale::core::metrics::{Gauge, Metric, Metrics};
use agentscale::core::time::Clock;
use agentscale::core::{Error, ErrorKind, Result};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::Instrument;

use crate::api::error::{ApiError, Cause};
use crate::app::App;
use crate::auth::Principal;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `http.server.request.duration` of OpenTelemetry's conventions.
const DURATION: Metric =
    Metric::new("http_server_request_duration_seconds", "time from a request's head to its answer's head")
        .in_seconds();

const CALLS: Metric =
    Metric::new("gateway_server_calls", "calls of models under way, streams until their end included");

const CONNECTIONS: Metric = Metric::new("gateway_server_connections", "open connections");

/// Counts one of what there is, as long as it is there.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.add(1);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// What the server itself records.
#[derive(Clone, Debug)]
pub(crate) struct ServerMetrics {
    registry: Metrics,
    pub(crate) calls: Gauge,
    pub(crate) connections: Gauge,
}

impl ServerMetrics {
    pub(crate) fn new(registry: &Metrics) -> Result<Self> {
        Ok(Self {
            calls: registry.gauge(&CALLS, &[])?,
            connections: registry.gauge(&CONNECTIONS, &[])?,
            registry: registry.clone(),
        })
    }
}

/// Records a request and names it.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let method = request.method().clone();
    let begun = app.clock.now();
    let id = uuid::Uuid::now_v7().simple().to_string();
    // For what is told of its answer behind this: a stream may break off.
    let span = tracing::info_span!("answer", id);
    let mut response = answer(next.run(request)).instrument(span).await;
    let took = app.clock.now().since(begun);
    let status = response.status();
    let labels = [
        ("http_request_method", shown(&method)),
        ("http_response_status_code", status.as_str()),
        ("http_route", route),
    ];
    match app.metrics.registry.histogram(&DURATION, &labels) {
        Ok(duration) => duration.record_duration(took),
        Err(error) => tracing::error!(%error, "record a request"),
    }
    let principal = response.extensions_mut().remove::<Arc<Principal>>();
    let key = principal.as_ref().map(|principal| principal.name.as_str());
    let cause = response.extensions_mut().remove::<Cause>();
    let cause = cause.as_ref().map(|Cause(error)| tracing::field::display(error));
    if status.is_server_error() {
        tracing::warn!(id, %method, route, status = status.as_u16(), ?took, key, cause, "request");
    } else {
        tracing::info!(id, %method, route, status = status.as_u16(), ?took, key, cause, "request");
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// What comes of a request; where its handler panics, an error as others are.
async fn answer(response: impl Future<Output = Response>) -> Response {
    // Nothing is looked at afterwards that the handler may have left half done.
    AssertUnwindSafe(response).catch_unwind().await.unwrap_or_else(|_| {
        let panicked = Error::new(ErrorKind::Internal, "answer a request").with_context("reason", "panicked");
        ApiError::from(panicked).into_response()
    })
}

/// A method as OpenTelemetry's conventions name it: any word can be one, and each would be a series of its own.
fn shown(method: &Method) -> &str {
    let known = [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE];
    if known.contains(method) { method.as_str() } else { "_OTHER" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_whose_handler_panics_is_answered() {
        let response = answer(async { panic!("as a handler may") }).await;
        assert_eq!(response.status(), 500);
        assert!(response.extensions().get::<Cause>().is_some(), "the log does not know of it");
    }
}
