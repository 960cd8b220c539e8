use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
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
        if request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(ApiError::compressed());
        }
        let limits = &app.config.limits;
        let reading = app.bodies.read(request.into_body(), limits.max_body_bytes);
        let read = timeout(limits.body_timeout(), reading).await;
        let (body, held) = read.map_err(|_| ApiError::body_too_slow())??;
        match serde_json::from_slice(&body) {
            Ok(asked) => Ok(Self(asked, held)),
            Err(error) => Err(unreadable::<T>(&body, &error)),
        }
    }
}

/// Why a body is refused; where a field is of another type, by its name.
fn unreadable<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> ApiError {
    let message = format!("We could not parse the JSON body of your request: {error}");
    if !error.is_data() {
        return ApiError::invalid(message);
    }
    // Only now, as whoever names the field reads more slowly.
    let named: Result<T, _> =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body));
    match named.map_err(|error| error.path().to_string()) {
        Err(field) if field != "." => ApiError::invalid_param(field, message),
        _ => ApiError::invalid(message),
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
