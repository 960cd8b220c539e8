use agentscale::core::llm::{Content, Message, Role};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::call_id;
use crate::api::error::ApiError;
use crate::api::image::image;
use crate::api::tools::arguments;

/// A message of the conversation.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant`, `tool`.
    role: String,
    #[serde(default)]
    content: Option<Said>,
    #[serde(default)]
    tool_calls: Option<Vec<AskedCall>>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

/// One text, or parts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Said {
    Text(String),
    Parts(Vec<Part>),
}

/// Text or an image, by its type.
#[derive(Debug, Deserialize, ToSchema)]
struct Part {
    /// `text`, `image_url`, `refusal`.
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    image_url: Option<ImageUrl>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ImageUrl {
    url: String,
}

#[derive(Debug, Deserialize, ToSchema)]
struct AskedCall {
    id: String,
    function: Option<AskedFunction>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct AskedFunction {
    name: String,
    #[serde(default)]
    arguments: String,
}

pub(super) fn conversation(messages: Vec<ChatMessage>) -> Result<Vec<Message>, ApiError> {
    messages
        .into_iter()
        .enumerate()
        .map(|(place, message)| message.into_message(&format!("messages[{place}]")))
        .collect()
}

impl ChatMessage {
    fn into_message(self, param: &str) -> Result<Message, ApiError> {
        let role = match self.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => return self.into_result(param),
            _ => {
                return Err(ApiError::invalid_param(
                    format!("{param}.role"),
                    "Supported are system, developer, user, assistant and tool.",
                ));
            }
        };
        let mut content = contents(self.content, param)?;
        for (place, call) in self.tool_calls.unwrap_or_default().into_iter().enumerate() {
            let param = format!("{param}.tool_calls[{place}]");
            let function =
                call.function.ok_or_else(|| ApiError::unsupported(&param, "Tools are functions."))?;
            let arguments = arguments(&function.arguments, &param)?;
            content.push(Content::ToolCall(call_id::call(&call.id, function.name, arguments)));
        }
        Ok(Message::new(role, content))
    }

    fn into_result(self, param: &str) -> Result<Message, ApiError> {
        let call_id = self.tool_call_id.as_deref().map(call_id::id).ok_or_else(|| {
            ApiError::invalid_param(format!("{param}.tool_call_id"), "A result names its call.")
        })?;
        let text = Message::new(Role::Tool, contents(self.content, param)?).text();
        Ok(Message::new(
            Role::Tool,
            vec![Content::ToolResult { call_id: call_id.to_owned(), text, failed: false }],
        ))
    }
}

fn contents(said: Option<Said>, param: &str) -> Result<Vec<Content>, ApiError> {
    let parts = match said {
        None => return Ok(Vec::new()),
        Some(Said::Text(text)) => return Ok(vec![Content::Text { text }]),
        Some(Said::Parts(parts)) => parts,
    };
    let parts = parts.into_iter().enumerate();
    parts.map(|(place, part)| part.into_content(&format!("{param}.content[{place}]"))).collect()
}

impl Part {
    fn into_content(self, param: &str) -> Result<Content, ApiError> {
        match (self.kind.as_str(), self.text, self.refusal, self.image_url) {
            ("text", Some(text), ..) | ("refusal", _, Some(text), _) => Ok(Content::Text { text }),
            ("image_url", _, _, Some(ImageUrl { url })) => image(&url, param).map(Content::Image),
            _ => Err(ApiError::unsupported(param, "Supported are text and image_url, with what they name.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::llm::Image;

    #[test]
    fn a_conversation_with_tools_and_images_is_read_whole() {
        let messages = read(
            r#"[{"role":"developer","content":"be brief"},
            {"role":"user","name":"al","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"https://h/i.png","detail":"low"}}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"x\":1}"}},{"id":"c2","type":"function","function":{"name":"look","arguments":""}}]},
            {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#,
        )
        .unwrap();
        assert_eq!(messages[0], Message::system("be brief"));
        assert_eq!(messages[1], Message::user("see").with_image(Image::url("https://h/i.png")));
        let calls: Vec<_> = messages[2].tool_calls().map(|call| call.arguments.as_str()).collect();
        assert_eq!(calls, [r#"{"x":1}"#, "{}"]);
        let result = Content::ToolResult { call_id: "c1".to_owned(), text: "ab".to_owned(), failed: false };
        assert_eq!(messages[3], Message::new(Role::Tool, vec![result]));
    }

    #[test]
    fn what_cannot_be_read_is_refused_where_it_stands() {
        for (messages, param) in [
            (r#"[{"role":"robot","content":"x"}]"#, "messages[0].role"),
            (r#"[{"role":"user","content":[{"type":"input_audio"}]}]"#, "messages[0].content[0]"),
            (r#"[{"role":"user","content":[{"type":"text"}]}]"#, "messages[0].content[0]"),
            (r#"[{"role":"tool","content":"x"}]"#, "messages[0].tool_call_id"),
            (
                r#"[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{"}}]}]"#,
                "messages[0].tool_calls[0]",
            ),
        ] {
            let error = read(messages).unwrap_err();
            assert_eq!(error.body().error.param, Some(param), "{messages}");
        }
    }

    fn read(messages: &str) -> Result<Vec<Message>, ApiError> {
        conversation(serde_json::from_str(messages).unwrap())
    }
}
