use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::api::error::ApiError;
use crate::api::{chat, embeddings, models, responses, usage};
use crate::app::App;
use crate::{auth, observe, ops};

/// All that is served. A request passes, outermost first: what is observed of it, the key, its endpoint.
pub(crate) fn router(app: Arc<App>) -> Router {
    let keyed = Router::new()
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/responses", post(responses::create))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/models", get(models::list))
        .route("/v1/usage", get(usage::read))
        // The names of models may have slashes.
        .route("/v1/models/{*id}", get(models::find))
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::authenticate));
    Router::new()
        .route("/healthz", get(ops::health::alive))
        .route("/readyz", get(ops::health::ready))
        .route("/metrics", get(ops::metrics::read))
        .route("/openapi.json", get(ops::openapi::read))
        .merge(keyed)
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
        .with_state(app)
}

async fn no_such_path(method: Method, uri: Uri) -> ApiError {
    ApiError::no_such_path(method.as_str(), uri.path())
}

async fn wrong_method(method: Method) -> ApiError {
    ApiError::wrong_method(method.as_str())
}
