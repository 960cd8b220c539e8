use serde::Deserialize;
use serde::de::Error as _;

use super::{Content, ToolCall};
use crate::Json;
use crate::llm::{Image, Reasoning, reasoning::Opaque};

/// The fields of every part. serde reads a tagged enum from a buffer, in which a raw JSON text does not survive.
#[derive(Deserialize)]
pub(super) struct StoredContent {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    citation: Option<String>,
    url: Option<String>,
    inline: Option<Inline>,
    opaque: Option<Opaque>,
    id: Option<String>,
    name: Option<String>,
    arguments: Option<Json>,
    signature: Option<String>,
    call_id: Option<String>,
    failed: Option<bool>,
}

#[derive(Deserialize)]
struct Inline {
    media_type: String,
    base64: String,
}

impl TryFrom<StoredContent> for Content {
    type Error = serde::de::value::Error;

    fn try_from(stored: StoredContent) -> Result<Self, Self::Error> {
        Ok(match stored.kind.as_str() {
            "text" => Self::Text { text: required(stored.text, "text")? },
            "document" => Self::Document {
                citation: required(stored.citation, "citation")?,
                text: required(stored.text, "text")?,
            },
            "image" => Self::Image(match (stored.url, stored.inline) {
                (Some(url), None) => Image::Url(url),
                (None, Some(inline)) => {
                    Image::Inline { media_type: inline.media_type, base64: inline.base64.into() }
                }
                _ => return Err(Self::Error::custom("an image has a `url` or is `inline`")),
            }),
            "reasoning" => {
                Self::Reasoning(Reasoning { text: stored.text.unwrap_or_default(), opaque: stored.opaque })
            }
            "tool_call" => Self::ToolCall(ToolCall {
                id: required(stored.id, "id")?,
                name: required(stored.name, "name")?,
                arguments: required(stored.arguments, "arguments")?,
                signature: stored.signature,
            }),
            "tool_result" => Self::ToolResult {
                call_id: required(stored.call_id, "call_id")?,
                text: required(stored.text, "text")?,
                failed: required(stored.failed, "failed")?,
            },
            _ => return Err(Self::Error::custom("a part of an unknown type")),
        })
    }
}

fn required<T>(field: Option<T>, name: &'static str) -> Result<T, serde::de::value::Error> {
    field.ok_or_else(|| serde::de::value::Error::missing_field(name))
}
