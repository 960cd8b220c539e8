//! How parts of messages look in both of OpenAI's APIs.

use std::borrow::Cow;

use agentscale_core::llm::{Content, Image};

/// What is said: a document below its citation.
pub(super) fn text(part: &Content) -> Option<Cow<'_, str>> {
    match part {
        Content::Text { text } => Some(Cow::Borrowed(text)),
        Content::Document { citation, text } => Some(Cow::Owned(format!("[{citation}]\n{text}"))),
        _ => None,
    }
}

/// The address of an image; one that comes along is its own.
pub(super) fn image_url(image: &Image) -> Option<Cow<'_, str>> {
    match image {
        Image::Url(url) => Some(Cow::Borrowed(url)),
        Image::Inline { media_type, base64 } => {
            Some(Cow::Owned(format!("data:{media_type};base64,{base64}")))
        }
        _ => None,
    }
}
