use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// W3C trace context, level 1: the two headers as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// `00-<32 hex digits of the trace>-<16 of the span>-<flags>`.
    pub traceparent: String,
    /// Vendors' values, opaque.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tracestate: String,
}

impl TraceContext {
    /// Checks a `traceparent` header.
    ///
    /// # Errors
    /// `invalid_input` for a header of another form.
    pub fn parse(traceparent: &str) -> Result<Self> {
        let parts: Vec<_> = traceparent.split('-').collect();
        let hex =
            |part: &str, digits: usize| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
        let known = parts.len() >= 4
            && hex(parts[0], 2)
            && hex(parts[1], 32)
            && hex(parts[2], 16)
            && hex(parts[3], 2);
        if !known {
            return Err(Error::new(ErrorKind::InvalidInput, "parse traceparent"));
        }
        Ok(Self { traceparent: traceparent.to_owned(), tracestate: String::new() })
    }
}
