use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::body::Held;
use super::error::ApiError;
use crate::app::App;

/// What a request asks for in JSON, and the room that it takes.
pub(crate) struct Asked<T>(pub(crate) T, pub(crate) Held);

/// An answer of JSON, with its content type.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let limits = &app.config.limits;
        let reading = app.bodies.read(request.into_body(), limits.max_body_bytes);
        let read = timeout(limits.body_timeout(), reading).await;
        let (body, held) = read.map_err(|_| ApiError::body_too_slow())??;
        let parsed = serde_json::from_slice(&body);
        parsed.map(|asked| Self(asked, held)).map_err(|error| {
            ApiError::invalid(format!("We could not parse the JSON body of your request: {error}"))
        })
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => ApiError::from(unwritable(error)).into_response(),
        }
    }
}

fn unwritable(error: serde_json::Error) -> agentscale::core::Error {
    agentscale::core::Error::new(agentscale::core::ErrorKind::Internal, "write an answer").with_source(error)
}
