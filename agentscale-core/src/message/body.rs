use std::any::{Any, type_name};
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::size;
use crate::{Error, ErrorKind, Result};

/// How a body is encoded: a media type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentType(Cow<'static, str>);

impl ContentType {
    /// JSON, the default.
    pub const JSON: Self = Self(Cow::Borrowed("application/json"));

    /// Any media type.
    pub fn new(media_type: impl Into<String>) -> Self {
        let media_type = media_type.into();
        if media_type == Self::JSON.as_str() { Self::JSON } else { Self(Cow::Owned(media_type)) }
    }

    /// The media type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a message says: a value of the sender's type, or bytes.
#[derive(Clone)]
pub struct Body(Repr);

#[derive(Clone)]
enum Repr {
    Typed(Arc<dyn Value>),
    Encoded(Arc<(ContentType, Bytes)>),
}

trait Value: Any + Send + Sync {
    fn encode(&self) -> Result<Bytes>;
    fn size_hint(&self) -> usize;
    fn type_name(&self) -> &'static str;
}

impl<T: Serialize + Send + Sync + 'static> Value for T {
    fn encode(&self) -> Result<Bytes> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "encode body")
                .with_context("type", type_name::<T>())
                .with_source(error)
        })
    }

    fn size_hint(&self) -> usize {
        size::estimate(self)
    }

    fn type_name(&self) -> &'static str {
        type_name::<T>()
    }
}

impl Body {
    /// A value that is encoded as JSON where it must be.
    pub fn new<T: Serialize + Send + Sync + 'static>(value: T) -> Self {
        Self(Repr::Typed(Arc::new(value)))
    }

    /// The body of a message that says nothing: `null`.
    pub fn empty() -> Self {
        static EMPTY: LazyLock<Body> = LazyLock::new(|| Body::new(()));
        EMPTY.clone()
    }

    /// A value that is shared already.
    pub fn shared<T: Serialize + Send + Sync + 'static>(value: Arc<T>) -> Self {
        Self(Repr::Typed(value))
    }

    /// Bytes of any type.
    pub fn encoded(content_type: ContentType, bytes: Bytes) -> Self {
        Self(Repr::Encoded(Arc::new((content_type, bytes))))
    }

    /// The value: shared when the body holds a `T`, decoded otherwise.
    ///
    /// # Errors
    /// `invalid_input` for a value of another shape; `unsupported` for bytes that are not JSON.
    pub fn get<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        if let Repr::Typed(value) = &self.0
            && let Ok(value) = (Arc::clone(value) as Arc<dyn Any + Send + Sync>).downcast::<T>()
        {
            return Ok(value);
        }
        self.decode().map(Arc::new)
    }

    /// The value by itself: moved out where this body alone holds a `T`, decoded otherwise.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn take<T: DeserializeOwned + Send + Sync + 'static>(self) -> Result<T> {
        match self.0 {
            Repr::Typed(value)
                if Arc::strong_count(&value) == 1 && (value.as_ref() as &dyn Any).is::<T>() =>
            {
                let value =
                    (value as Arc<dyn Any + Send + Sync>).downcast::<T>().ok().and_then(Arc::into_inner);
                value.ok_or_else(|| Error::new(ErrorKind::Internal, "take body"))
            }
            shared => Self(shared).decode(),
        }
    }

    fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        let (content_type, bytes) = self.encode()?;
        if content_type != ContentType::JSON {
            return Err(Error::new(ErrorKind::Unsupported, "decode body")
                .with_context("content_type", content_type.as_str()));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "decode body")
                .with_context("type", type_name::<T>())
                .with_source(error)
        })
    }

    /// The encoded value.
    ///
    /// # Errors
    /// `invalid_input` for a value that JSON cannot hold.
    pub fn encode(&self) -> Result<(ContentType, Bytes)> {
        match &self.0 {
            Repr::Typed(value) => Ok((ContentType::JSON, value.encode()?)),
            Repr::Encoded(encoded) => Ok((encoded.0.clone(), encoded.1.clone())),
        }
    }

    /// About how many bytes it holds. A typed value is walked, not encoded.
    pub fn size_hint(&self) -> usize {
        match &self.0 {
            Repr::Typed(value) => value.as_ref().size_hint(),
            Repr::Encoded(encoded) => encoded.1.len(),
        }
    }
}

/// Bodies are equal when their encodings are.
impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.encode(), other.encode()), (Ok(left), Ok(right)) if left == right)
    }
}

/// Shows the type and size, never the content.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Typed(value) => write!(f, "Body({})", value.as_ref().type_name()),
            Repr::Encoded(encoded) => write!(f, "Body({}, {} bytes)", encoded.0.as_str(), encoded.1.len()),
        }
    }
}
