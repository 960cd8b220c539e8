use serde::Deserialize;
use serde::de::IgnoredAny;

/// `{"error": {…}}`, `{"error": "text"}`, or the fields without their frame, as some compatible servers send them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorFrame {
    pub(crate) error: Option<ErrorBody>,
    #[serde(flatten)]
    pub(crate) bare: ErrorFields,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ErrorBody {
    Fields(ErrorFields),
    Text(String),
}

impl ErrorBody {
    /// The error's type and what it says, for APIs that have no more.
    pub(crate) fn into_name_and_message(self) -> (String, String) {
        match self {
            Self::Fields(fields) => (fields.kind.unwrap_or_default(), fields.message.unwrap_or_default()),
            Self::Text(message) => (String::new(), message),
        }
    }
}

impl Default for ErrorBody {
    fn default() -> Self {
        Self::Fields(ErrorFields::default())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorFields {
    pub(crate) message: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) code: Option<ErrorCode>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ErrorCode {
    Text(String),
    Number(u16),
    Other(IgnoredAny),
}
