use std::sync::Arc;

use agentscale::core::metrics::OPENMETRICS_CONTENT_TYPE;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;

use crate::app::App;

/// What the server and its gateway recorded, as OpenMetrics.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text"))
)]
pub(crate) async fn read(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE)], app.registry.snapshot().to_openmetrics())
}
