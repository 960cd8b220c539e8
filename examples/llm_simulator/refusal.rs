//! An answer that is an error.

use std::time::Duration;

use serde_json::Value;

use crate::dialect::Dialect;
use crate::limits::Headers;

#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Value,
}

impl Refusal {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Headers::new(), body }
    }

    pub(crate) fn with_headers(mut self, headers: Headers) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Says when to come again, in the headers of the dialect; Gemini says it in the body, Ollama never.
    pub(crate) fn with_retry_after(mut self, dialect: Dialect, wait: Duration) -> Self {
        let seconds = wait.as_nanos().div_ceil(1_000_000_000);
        match dialect {
            Dialect::Openai => {
                let millis = wait.as_nanos().div_ceil(1_000_000);
                self.headers.push(("retry-after", seconds.max(1).to_string()));
                self.headers.push(("retry-after-ms", millis.max(1).to_string()));
            }
            Dialect::Anthropic => self.headers.push(("retry-after", seconds.max(1).to_string())),
            Dialect::Gemini => {
                let info = serde_json::json!({
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": crate::limits::retry_delay(wait),
                });
                if let Some(error) = self.body["error"].as_object_mut() {
                    error.insert("details".to_owned(), serde_json::json!([info]));
                }
            }
            Dialect::Ollama => {}
        }
        self
    }
}
