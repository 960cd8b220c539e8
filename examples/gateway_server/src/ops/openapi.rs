use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::{api, ops};

/// The description of the whole API.
#[derive(OpenApi)]
#[openapi(
    info(title = "gateway_server", description = "The gateway behind OpenAI's API."),
    paths(
        api::chat::create,
        api::responses::create,
        api::embeddings::create,
        api::models::list,
        api::models::find,
        api::usage::read,
        ops::health::alive,
        ops::health::ready,
        ops::metrics::read,
        read,
    ),
    modifiers(&Keys)
)]
struct Description;

/// Calls come with a key.
struct Keys;

impl Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("key", scheme);
    }
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "OpenAPI 3.1")))]
pub(crate) async fn read() -> Response {
    match Description::openapi().to_json() {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "write the description of the API");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
