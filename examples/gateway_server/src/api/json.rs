use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::ApiError;
use crate::app::App;

/// A body of JSON: bounded in size and in time as a request, with its content type as a response.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let limits = &app.config.limits;
        let reading = read(request.into_body(), limits.max_body_bytes);
        let body = timeout(limits.body_timeout(), reading).await.map_err(|_| ApiError::body_too_slow())??;
        let parsed = serde_json::from_slice(&body);
        parsed.map(Self).map_err(|error| {
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

async fn read(body: Body, most: usize) -> Result<Bytes, ApiError> {
    if body.size_hint().lower() > most as u64 {
        return Err(ApiError::body_too_large(most));
    }
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::body_too_large(most)),
        Err(_) => Err(ApiError::invalid("The body of the request broke off.")),
    }
}

fn unwritable(error: serde_json::Error) -> agentscale::core::Error {
    agentscale::core::Error::new(agentscale::core::ErrorKind::Internal, "write an answer").with_source(error)
}
