//! Errors as OpenAI tells them: a status, and a body that says what to do about it.

mod kind;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use agentscale::core::{Error, Retry};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// OpenAI's clients obey it before the status.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What a caller is told. What stands behind it goes to the log alone.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: Cow<'static, str>,
    retry: Option<Retry>,
    retry_after: Option<Duration>,
    cause: Option<Error>,
}

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    /// What went wrong.
    pub(crate) error: ErrorDetail<'a>,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetail<'a> {
    /// For people.
    pub(crate) message: &'a str,
    /// Who has to do something: `invalid_request_error`, `server_error` and so on.
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    /// The field of the request that is wrong.
    pub(crate) param: Option<&'a str>,
    /// For programs.
    pub(crate) code: Option<&'a str>,
}

/// The error behind a response, for the log.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) Arc<Error>);

const INVALID_REQUEST: &str = "invalid_request_error";

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            kind,
            code: None,
            param: None,
            message: message.into(),
            retry: None,
            retry_after: None,
            cause: None,
        }
    }

    /// The request can never work as it stands.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, message)
    }

    /// The field `param` can never work as it stands.
    pub(crate) fn invalid_param(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), code: Some("invalid_value"), ..Self::invalid(message) }
    }

    /// OpenAI offers this and the gateway does not.
    pub(crate) fn unsupported(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), code: Some("unsupported_value"), ..Self::invalid(message) }
    }

    pub(crate) fn missing(param: &'static str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self {
            param: Some(param.to_owned()),
            code: Some("missing_required_parameter"),
            ..Self::invalid(message)
        }
    }

    pub(crate) fn no_key() -> Self {
        let message = "You didn't provide an API key. It stands in a header: Authorization: Bearer YOUR_KEY.";
        Self::new(StatusCode::UNAUTHORIZED, INVALID_REQUEST, message)
    }

    pub(crate) fn wrong_key() -> Self {
        let message = "Incorrect API key provided.";
        Self {
            code: Some("invalid_api_key"),
            ..Self::new(StatusCode::UNAUTHORIZED, INVALID_REQUEST, message)
        }
    }

    /// The key may not do this.
    pub(crate) fn forbidden(message: &'static str) -> Self {
        Self { code: Some("permission_denied"), ..Self::new(StatusCode::FORBIDDEN, INVALID_REQUEST, message) }
    }

    /// Whoever may not call a model is told the same as whoever names none that there is.
    pub(crate) fn no_such_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self {
            code: Some("model_not_found"),
            param: Some("model".to_owned()),
            ..Self::new(StatusCode::NOT_FOUND, INVALID_REQUEST, message)
        }
    }

    pub(crate) fn no_such_path(method: &str, path: &str) -> Self {
        let message = format!("Invalid URL ({method} {path})");
        Self::new(StatusCode::NOT_FOUND, INVALID_REQUEST, message)
    }

    pub(crate) fn wrong_method(method: &str) -> Self {
        let message = format!("Not allowed to {method} on this URL.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, INVALID_REQUEST, message)
    }

    pub(crate) fn body_too_large(most: usize) -> Self {
        let message = format!("The body of the request is larger than {most} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST, message)
    }

    pub(crate) fn compressed() -> Self {
        let message = "The body of the request is compressed, which is not supported.";
        let error = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, message);
        Self { param: Some("content-encoding".to_owned()), code: Some("unsupported_value"), ..error }
    }

    pub(crate) fn body_too_slow() -> Self {
        let message = "The body of the request took too long to arrive.";
        Self::new(StatusCode::REQUEST_TIMEOUT, INVALID_REQUEST, message)
    }

    /// The server ends before the answer does.
    pub(crate) fn draining() -> Self {
        let message = "The server is going down. Please try again.";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        Self { code: Some("server_draining"), retry: Some(Retry::Later), ..error }
    }

    /// When to come again. Who is to come again and is not told when comes at once, and so do all others.
    fn retry_after(&self) -> Option<Duration> {
        let is_busy = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let unknown = (is_busy && self.retry == Some(Retry::Later)).then_some(Duration::from_secs(1));
        self.retry_after.or(unknown)
    }

    pub(crate) fn body(&self) -> ErrorBody<'_> {
        let (param, code) = (self.param.as_deref(), self.code);
        ErrorBody { error: ErrorDetail { message: &self.message, kind: self.kind, param, code } }
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code.unwrap_or("server_error")
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What stands behind it, for the log.
    pub(crate) fn cause(&self) -> Option<&Error> {
        self.cause.as_ref()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response =
            (self.status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
                .into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.retry_after() {
            // Whole seconds: rounded up, or the client comes too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Some(retry) = self.retry {
            let answer = if retry == Retry::Later { "true" } else { "false" };
            headers.insert(X_SHOULD_RETRY, HeaderValue::from_static(answer));
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(Cause(Arc::new(cause)));
        }
        response
    }
}
