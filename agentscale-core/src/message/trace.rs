use std::fmt;
use std::str::FromStr;

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

    /// The trace, where the header names one.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.traceparent.split('-').nth(1)?.parse().ok()
    }
}

/// The id of a trace: 16 bytes, written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// An id of these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Of 32 hex digits; `invalid_input` for anything else.
impl FromStr for TraceId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::InvalidInput, "parse trace id");
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let number = u128::from_str_radix(text, 16).map_err(|error| invalid().with_source(error))?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl TryFrom<String> for TraceId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}
