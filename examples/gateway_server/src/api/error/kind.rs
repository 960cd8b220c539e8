//! What callers are told of the SDK's errors: by kind, in words of our own, so that no name of a key, of a server or of
//! a provider gets out.

use agentscale::core::{Error, ErrorKind};
use axum::http::StatusCode;

use super::{ApiError, INVALID_REQUEST};

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (status, kind, code, message) = told(error.kind());
        Self {
            code: Some(code),
            retry: Some(error.retry()),
            retry_after: error.retry_after(),
            cause: Some(error),
            ..Self::new(status, kind, message)
        }
    }
}

type Told = (StatusCode, &'static str, &'static str, &'static str);

fn told(kind: ErrorKind) -> Told {
    use StatusCode as Status;
    match kind {
        ErrorKind::InvalidInput => {
            (Status::BAD_REQUEST, INVALID_REQUEST, "invalid_value", "The model does not take this request.")
        }
        ErrorKind::Unsupported => (
            Status::BAD_REQUEST,
            INVALID_REQUEST,
            "unsupported_value",
            "The model does not offer what this request asks for.",
        ),
        ErrorKind::ContextTooLong => (
            Status::BAD_REQUEST,
            INVALID_REQUEST,
            "context_length_exceeded",
            "The request is longer than the model's context window.",
        ),
        ErrorKind::ContentRefused => (
            Status::BAD_REQUEST,
            INVALID_REQUEST,
            "content_policy_violation",
            "The model's provider refused the content of the request.",
        ),
        ErrorKind::NotFound => (
            Status::NOT_FOUND,
            INVALID_REQUEST,
            "model_not_found",
            "The model does not exist or you do not have access to it.",
        ),
        ErrorKind::PermissionDenied => {
            (Status::FORBIDDEN, INVALID_REQUEST, "permission_denied", "Your account may not call this model.")
        }
        ErrorKind::TooLarge => {
            (Status::PAYLOAD_TOO_LARGE, INVALID_REQUEST, "request_too_large", "The request is too large.")
        }
        ErrorKind::RateLimited => (
            Status::TOO_MANY_REQUESTS,
            "rate_limit_error",
            "rate_limit_exceeded",
            "Too many requests for now.",
        ),
        ErrorKind::QuotaExceeded | ErrorKind::BudgetExceeded => (
            Status::TOO_MANY_REQUESTS,
            "insufficient_quota",
            "insufficient_quota",
            "Your quota or budget is used up.",
        ),
        ErrorKind::Overloaded => {
            (Status::SERVICE_UNAVAILABLE, "server_error", "overloaded", "There is no room for now.")
        }
        ErrorKind::DeadlineExceeded => (
            Status::GATEWAY_TIMEOUT,
            "server_error",
            "deadline_exceeded",
            "There was no answer within the time that the request allows.",
        ),
        ErrorKind::CircuitOpen | ErrorKind::Unavailable | ErrorKind::Unauthenticated => (
            // A key that the provider does not take is ours, not the caller's.
            Status::SERVICE_UNAVAILABLE,
            "server_error",
            "unavailable",
            "No provider of the model works now.",
        ),
        ErrorKind::Corrupt => (
            Status::BAD_GATEWAY,
            "server_error",
            "bad_gateway",
            "The model's provider gave an answer that cannot be read.",
        ),
        _ => (
            Status::INTERNAL_SERVER_ERROR,
            "server_error",
            "internal_error",
            "The server had an error while processing your request.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use axum::response::IntoResponse;

    #[test]
    fn each_kind_has_the_status_that_clients_act_on() {
        for (kind, status) in [
            (ErrorKind::InvalidInput, 400),
            (ErrorKind::Unsupported, 400),
            (ErrorKind::ContextTooLong, 400),
            (ErrorKind::PermissionDenied, 403),
            (ErrorKind::NotFound, 404),
            (ErrorKind::TooLarge, 413),
            (ErrorKind::RateLimited, 429),
            (ErrorKind::BudgetExceeded, 429),
            (ErrorKind::Internal, 500),
            (ErrorKind::Corrupt, 502),
            (ErrorKind::Overloaded, 503),
            (ErrorKind::Unauthenticated, 503),
            (ErrorKind::DeadlineExceeded, 504),
        ] {
            assert_eq!(ApiError::from(Error::new(kind, "test")).status.as_u16(), status, "{kind}");
        }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_too_short() {
        let error = Error::new(ErrorKind::RateLimited, "test").with_retry_after(Duration::from_millis(1_001));
        let response = ApiError::from(error).into_response();
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["x-should-retry"], "true");
    }

    #[test]
    fn what_can_never_work_is_not_to_be_repeated() {
        let response = ApiError::from(Error::new(ErrorKind::BudgetExceeded, "test")).into_response();
        assert_eq!(response.headers()["x-should-retry"], "false");
        assert!(!response.headers().contains_key("retry-after"));
    }

    #[test]
    fn nothing_of_the_context_of_an_error_gets_out() {
        let error = Error::new(ErrorKind::Unavailable, "call openai").with_context("key", "oai-key-7");
        let body = serde_json::to_string(&ApiError::from(error).body()).unwrap();
        assert!(!body.contains("oai-key-7") && !body.contains("call openai"), "{body}");
    }
}
