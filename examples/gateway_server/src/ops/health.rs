use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;

/// The process runs.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It runs", body = String)))]
pub(crate) async fn alive() -> &'static str {
    "ok"
}

/// The server wants calls: it stays, and a provider works.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "It wants calls", body = String),
        (status = 503, description = "It goes down, or no provider works", body = String),
    )
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.drain.has_begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining");
    }
    if !app.gateway().works() {
        return (StatusCode::SERVICE_UNAVAILABLE, "no provider works");
    }
    (StatusCode::OK, "ok")
}
