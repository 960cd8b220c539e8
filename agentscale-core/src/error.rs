//! One error for every operation of the SDK.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a caller can act on it.
///
/// Layers and decorators keep the kind of the error that they pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller went away or asked to stop.
    Cancelled,
    /// The deadline passed before there was an answer.
    DeadlineExceeded,
    /// The request can never work as it stands.
    InvalidInput,
    /// What was named does not exist.
    NotFound,
    /// What was to be made exists already.
    AlreadyExists,
    /// Something else changed first: a version or a key with other content.
    Conflict,
    /// A newer owner has claimed what this one writes to; this owner stops.
    Fenced,
    /// Who asks is unknown.
    Unauthenticated,
    /// Who asks is known and may not do this.
    PermissionDenied,
    /// A quota of the tenant or account is used up.
    QuotaExceeded,
    /// A budget of tokens or money is used up.
    BudgetExceeded,
    /// Too many requests for now.
    RateLimited,
    /// No room: a queue, a mailbox or a pool is full.
    Overloaded,
    /// A circuit breaker is open.
    CircuitOpen,
    /// The other side cannot be reached or does not work now.
    Unavailable,
    /// This implementation does not offer the operation.
    Unsupported,
    /// The request is longer than the model's context window.
    ContextTooLong,
    /// The model or its provider refused the content.
    ContentRefused,
    /// A body, state or request exceeds its limit in bytes.
    TooLarge,
    /// Stored or received bytes cannot be understood.
    Corrupt,
    /// A defect of the SDK or of an implementation of its traits.
    Internal,
}

impl ErrorKind {
    /// The name used on the wire, in logs and in metrics: `deadline_exceeded` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::Fenced => "fenced",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::QuotaExceeded => "quota_exceeded",
            Self::BudgetExceeded => "budget_exceeded",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::CircuitOpen => "circuit_open",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::ContextTooLong => "context_too_long",
            Self::ContentRefused => "content_refused",
            Self::TooLarge => "too_large",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }

    /// What a repetition of the same request can hope for, unless the error says otherwise.
    pub fn default_retry(self) -> Retry {
        match self {
            Self::DeadlineExceeded
            | Self::RateLimited
            | Self::Overloaded
            | Self::CircuitOpen
            | Self::Unavailable => Retry::Later,
            _ => Retry::Never,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the same request may work when it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// Sending it again gives the same error.
    Never,
    /// It may work later, see [`Error::retry_after`].
    Later,
    /// It was retryable and the retries are used up.
    Exhausted,
}

/// An error with a kind, what was attempted, and what a retry can hope for.
///
/// Errors are cheap to clone: one failed group commit tells each of its waiters. No secret and no
/// prompt text belongs in an error; native errors are reached through [`StdError::source`].
///
/// ```
/// use agentscale_core::{Error, ErrorKind, Retry};
///
/// let error = Error::new(ErrorKind::Unavailable, "load checkpoint").with_context("thread", "alice");
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert_eq!(error.retry(), Retry::Later);
/// assert_eq!(error.to_string(), "load checkpoint: unavailable (thread: alice)");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    retry: Retry,
    retry_after: Option<Duration>,
    operation: Cow<'static, str>,
    context: Vec<(Cow<'static, str>, String)>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` in `operation`: lowercase words that say what was attempted.
    pub fn new(kind: ErrorKind, operation: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: kind.default_retry(),
            retry_after: None,
            operation: operation.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// Adds what helps to find the place: a name and a short value, never a secret or a prompt.
    #[must_use]
    pub fn with_context(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.0.context.push((name.into(), value.to_string()));
        self
    }

    /// Keeps the native error behind this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Says otherwise than [`ErrorKind::default_retry`].
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Says when a retry may work; implies [`Retry::Later`].
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry = Retry::Later;
        self.0.retry_after = Some(after);
        self
    }

    /// Takes out what stands behind this error, to put something between.
    pub(crate) fn take_source(&mut self) -> Option<Arc<dyn StdError + Send + Sync>> {
        self.0.source.take()
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same request may work when it is sent again.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// How long to wait before a retry, where the other side said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What was attempted.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The value of one piece of context.
    pub fn context(&self, name: &str) -> Option<&str> {
        self.0.context.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The form in which an error crosses a network: all but its source.
    pub fn to_wire(&self) -> WireError {
        WireError {
            kind: self.0.kind,
            retry: self.0.retry,
            retry_after_ms: self.0.retry_after.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            operation: self.0.operation.to_string(),
            context: self.0.context.iter().map(|(n, v)| (n.to_string(), v.clone())).collect(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.kind)?;
        for (i, (name, value)) in self.0.context.iter().enumerate() {
            f.write_str(if i == 0 { " (" } else { ", " })?;
            write!(f, "{name}: {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("retry_after", &self.0.retry_after)
            .field("operation", &self.0.operation)
            .field("context", &self.0.context)
            .field("source", &self.0.source.as_ref().map(ToString::to_string))
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// An [`Error`] as it is stored or sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireError {
    kind: ErrorKind,
    retry: Retry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    operation: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    context: Vec<(String, String)>,
}

impl From<WireError> for Error {
    fn from(wire: WireError) -> Self {
        Self(Box::new(Inner {
            kind: wire.kind,
            retry: wire.retry,
            retry_after: wire.retry_after_ms.map(Duration::from_millis),
            operation: wire.operation.into(),
            context: wire.context.into_iter().map(|(n, v)| (n.into(), v)).collect(),
            source: None,
        }))
    }
}
