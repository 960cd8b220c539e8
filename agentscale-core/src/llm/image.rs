use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// An image of a message.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Image {
    /// Where the provider finds it: `https://…`, or a file of the provider's own.
    Url(String),
    /// The image itself.
    Inline {
        /// Its type: `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
        media_type: String,
        /// Its bytes in base64, shared by clones.
        base64: Arc<str>,
    },
}

impl Image {
    /// An image that the provider fetches.
    pub fn url(url: impl Into<String>) -> Self {
        Self::Url(url.into())
    }

    /// An image sent with the request, of a type such as `image/png`.
    pub fn inline(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        use base64::Engine as _;
        let base64 = base64::engine::general_purpose::STANDARD.encode(bytes).into();
        Self::Inline { media_type: media_type.into(), base64 }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.debug_tuple("Url").field(url).finish(),
            Self::Inline { media_type, base64 } => f
                .debug_struct("Inline")
                .field("media_type", media_type)
                .field("base64_bytes", &base64.len())
                .finish(),
        }
    }
}
