use std::sync::Arc;

use agentscale::core::{Error, ErrorKind};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::body::Held;
use super::error::ApiError;
use crate::app::App;
use crate::auth::Principal;

/// A longer body is read beside the tasks of the others, which would wait for it.
const LARGE_BYTES: usize = 256 << 10;

/// What a request asks for in JSON, and the room that it takes.
pub(crate) struct Asked<T>(pub(crate) T, pub(crate) Held);

/// An answer of JSON, with its content type.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<Arc<App>> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        if request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(ApiError::compressed());
        }
        let caller = request.extensions().get::<Arc<Principal>>();
        let tenant = caller.ok_or_else(ApiError::no_key)?.tenant.clone();
        let limits = &app.config.limits;
        let reading = app.bodies.read(request.into_body(), limits.max_body_bytes, tenant);
        let read = timeout(limits.body_timeout(), reading).await;
        let (body, held) = read.map_err(|_| ApiError::body_too_slow())??;
        parse_beside(body, held).await
    }
}

/// What a body says, without a hold on the tasks of others.
async fn parse_beside<T>(body: Vec<u8>, held: Held) -> Result<Asked<T>, ApiError>
where
    T: DeserializeOwned + Send + 'static,
{
    if body.len() <= LARGE_BYTES {
        return parse(&body, held);
    }
    // It has its room until it ends, whether anyone still waits for it or not.
    let parsed = spawn_blocking(move || parse(&body, held)).await;
    parsed.unwrap_or_else(|error| Err(internal("read a request", error).into()))
}

fn parse<T: DeserializeOwned>(body: &[u8], held: Held) -> Result<Asked<T>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(asked) => Ok(Asked(asked, held)),
        Err(error) => Err(unreadable::<T>(body, &error)),
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
            Err(error) => ApiError::from(internal("write an answer", error)).into_response(),
        }
    }
}

fn internal(operation: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, operation).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::thread::{ThreadId, current};

    use agentscale::core::Tenant;
    use serde::de::IgnoredAny;
    use serde::{Deserialize, Deserializer};

    use super::super::body::Room;
    use super::*;

    /// Where it was read.
    struct Read(ThreadId);

    impl<'de> Deserialize<'de> for Read {
        fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
            IgnoredAny::deserialize(text).map(|_| Self(current().id()))
        }
    }

    #[tokio::test]
    async fn a_large_body_is_read_beside_the_tasks_of_others() {
        let room = Room::new(2 * LARGE_BYTES);
        for (bytes, beside) in [(LARGE_BYTES, false), (LARGE_BYTES + 1, true)] {
            let body = format!("\"{}\"", "x".repeat(bytes - 2));
            let read = room.read(body.into(), bytes, Tenant::new("acme").unwrap()).await;
            let (body, held) = read.unwrap_or_else(|_| panic!("there is room"));
            let parsed = parse_beside::<Read>(body, held).await;
            let Asked(read, _) = parsed.unwrap_or_else(|_| panic!("it is a text"));
            assert_eq!(read.0 != current().id(), beside, "{bytes}");
        }
    }
}
