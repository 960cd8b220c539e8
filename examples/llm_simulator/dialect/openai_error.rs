//! `{"error": {"message", "type", "param", "code"}}`.

use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::script::NamedError;

pub(crate) fn error(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

/// A request that cannot be used.
pub(crate) fn invalid(message: &str, param: Option<&str>, code: Option<&str>) -> Refusal {
    Refusal::new(400, error(message, "invalid_request_error", param, code))
}

pub(crate) fn missing(param: &str) -> Refusal {
    let message = format!("Missing required parameter: '{param}'.");
    invalid(&message, Some(param), Some("missing_required_parameter"))
}

pub(crate) fn wrong_type(param: &str, expected: &str, found: &Value) -> Refusal {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!("Invalid type for '{param}': expected {expected}, but got {found} instead.");
    invalid(&message, Some(param), Some("invalid_type"))
}

pub(crate) fn not_json() -> Refusal {
    let message = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
                   HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid \
                   JSON. If you have trouble figuring out how to fix this, please contact us through our help center \
                   at help.openai.com.)";
    invalid(message, None, None)
}

pub(crate) fn no_key() -> Refusal {
    let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using \
                   Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from \
                   https://platform.openai.com/account/api-keys.";
    Refusal::new(401, error(message, "invalid_request_error", None, None))
}

pub(crate) fn unknown_model(model: &str) -> Refusal {
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    Refusal::new(404, error(&message, "invalid_request_error", None, Some("model_not_found")))
}

pub(crate) fn too_long(limit: u64, tokens: u64) -> Refusal {
    let message = format!(
        "This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens. \
         Please reduce the length of the messages."
    );
    invalid(&message, Some("messages"), Some("context_length_exceeded"))
}

pub(super) fn named(name: NamedError) -> (u16, Value) {
    let invalid = |message, param, code| error(message, "invalid_request_error", param, Some(code));
    match name {
        NamedError::InvalidKey => {
            let message = "Incorrect API key provided. You can find your API key at \
                           https://platform.openai.com/account/api-keys.";
            (401, invalid(message, None, "invalid_api_key"))
        }
        NamedError::InsufficientQuota => {
            let message = "You exceeded your current quota, please check your plan and billing details. For more \
                           information on this error, read the docs: \
                           https://platform.openai.com/docs/guides/error-codes/api-errors.";
            (429, error(message, "insufficient_quota", None, Some("insufficient_quota")))
        }
        NamedError::ContextTooLong => (400, too_long(128_000, 130_000).body),
        NamedError::ContentRefused => {
            let message =
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.";
            (400, invalid(message, Some("prompt"), "content_policy_violation"))
        }
    }
}

pub(super) fn of_status(status: u16, message: &str) -> Value {
    match status {
        429 => error(message, "requests", None, Some("rate_limit_exceeded")),
        401 => error(message, "invalid_request_error", None, Some("invalid_api_key")),
        500.. => error(message, "server_error", None, None),
        _ => error(message, "invalid_request_error", None, None),
    }
}
