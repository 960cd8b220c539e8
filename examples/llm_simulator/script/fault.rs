use serde::Deserialize;

use super::in_range;
use crate::dialect::Dialect;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// Which requests it befalls; all of them by default.
    #[serde(default)]
    pub(crate) when: When,
    /// What befalls them.
    pub(crate) then: Then,
}

/// Every condition that is given must hold. Requests are counted for each rule, from 1, as far as they fit the
/// dialect, the model, the key and `stream`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct When {
    pub(crate) dialect: Option<Dialect>,
    pub(crate) model: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) stream: Option<bool>,
    /// The numbers of the requests.
    pub(crate) requests: Option<Vec<u64>>,
    /// Every nth request.
    pub(crate) every: Option<u64>,
    /// The chance of each request, drawn from the seed and the request's number.
    pub(crate) probability: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Then {
    /// An error of the dialect under a status.
    Status {
        code: u16,
        /// Sent as the provider sends it, rounded up to what its headers can say.
        #[serde(default)]
        retry_after_ms: Option<u64>,
    },
    /// An error that providers tell apart from others of its status.
    Error(NamedError),
    /// A page of a proxy.
    Html { status: u16 },
    /// The request is taken, and nothing comes.
    NeverAnswers,
    /// The connection ends without an answer.
    Disconnect,
    /// The stream ends after as many events; a whole answer in its middle.
    Cut { after_events: u64, how: Cut },
    /// The stream stays open after as many events, and nothing more comes.
    Stall { after_events: u64 },
    /// The headers come at once, the first token later by as much.
    SlowFirstToken { ms: u64 },
    /// An event that is no JSON, after as many events; a whole answer that is none.
    Garbage { after_events: u64 },
    /// An error object within a stream of status 200, after as many events; or alone as the whole answer.
    StreamError { after_events: u64, status: u16 },
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NamedError {
    InvalidKey,
    InsufficientQuota,
    ContextTooLong,
    ContentRefused,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cut {
    /// The connection is dropped.
    Drop,
    /// The body ends as if it were complete, without its last events.
    End,
}

impl Fault {
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(probability) = self.when.probability {
            in_range("when.probability", probability, 0.0, 1.0)?;
        }
        if self.when.every == Some(0) {
            return Err("when.every is 0".to_owned());
        }
        if self.when.requests.iter().flatten().any(|number| *number == 0) {
            return Err("when.requests counts from 1".to_owned());
        }
        match self.then {
            Then::Status { code, .. } => in_range("then.status.code", f64::from(code), 400.0, 599.0),
            Then::Html { status } => in_range("then.html.status", f64::from(status), 200.0, 599.0),
            Then::StreamError { status, .. } => {
                in_range("then.stream_error.status", f64::from(status), 400.0, 599.0)
            }
            _ => Ok(()),
        }
    }
}
