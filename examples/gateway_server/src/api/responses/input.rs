use agentscale::core::llm::{Content, Message, Role};
use serde::Deserialize;
use utoipa::ToSchema;

use super::thought;
use crate::api::call_id;
use crate::api::error::ApiError;
use crate::api::image::image;
use crate::api::tools::arguments;

/// One text, or the items of a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Input {
    Text(String),
    Items(Vec<Item>),
}

/// A message, a call, a call's result or a thought, by its type.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Item {
    /// `message`, `function_call`, `function_call_output`, `reasoning`; a message where it is left out.
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    content: Option<Said>,
    #[serde(default)]
    call_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(default)]
    output: Option<Said>,
    #[serde(default)]
    summary: Option<Vec<Part>>,
    #[serde(default)]
    encrypted_content: Option<String>,
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
    /// `input_text`, `output_text`, `summary_text`, `refusal`, `input_image`.
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    image_url: Option<String>,
}

/// The conversation. What the model said, thought and called in one turn is one message.
pub(super) fn conversation(input: Input) -> Result<Vec<Message>, ApiError> {
    let items = match input {
        Input::Text(text) => return Ok(vec![Message::user(text)]),
        Input::Items(items) => items,
    };
    if items.is_empty() {
        return Err(ApiError::missing("input"));
    }
    let mut messages: Vec<Message> = Vec::new();
    for (place, item) in items.into_iter().enumerate() {
        let message = item.into_message(&format!("input[{place}]"))?;
        match messages.last_mut() {
            Some(last) if last.role == Role::Assistant && message.role == Role::Assistant => {
                last.content.extend(message.content);
            }
            _ => messages.push(message),
        }
    }
    Ok(messages)
}

impl Item {
    fn into_message(self, param: &str) -> Result<Message, ApiError> {
        match self.kind.as_deref() {
            None | Some("message") => self.said(param),
            Some("function_call") => self.called(param),
            Some("function_call_output") => self.gave(param),
            Some("reasoning") => self.thought(param),
            Some(_) => Err(ApiError::unsupported(
                format!("{param}.type"),
                "Supported are message, function_call, function_call_output and reasoning.",
            )),
        }
    }

    fn said(self, param: &str) -> Result<Message, ApiError> {
        let role = match self.role.as_deref() {
            Some("system" | "developer") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            _ => {
                let message = "Supported are system, developer, user and assistant.";
                return Err(ApiError::invalid_param(format!("{param}.role"), message));
            }
        };
        Ok(Message::new(role, contents(self.content, &format!("{param}.content"))?))
    }

    fn called(self, param: &str) -> Result<Message, ApiError> {
        let (Some(id), Some(name)) = (self.call_id, self.name) else {
            return Err(ApiError::invalid_param(param, "A call has a call_id and a name."));
        };
        let arguments = arguments(self.arguments.as_deref().unwrap_or_default(), param)?;
        Ok(Message::new(Role::Assistant, vec![Content::ToolCall(call_id::call(&id, name, arguments))]))
    }

    fn gave(self, param: &str) -> Result<Message, ApiError> {
        let Some(call_id) = self.call_id.as_deref().map(call_id::id) else {
            return Err(ApiError::invalid_param(param, "A result has a call_id."));
        };
        let call_id = call_id.to_owned();
        let text = Message::new(Role::Tool, contents(self.output, &format!("{param}.output"))?).text();
        Ok(Message::new(Role::Tool, vec![Content::ToolResult { call_id, text, failed: false }]))
    }

    fn thought(self, param: &str) -> Result<Message, ApiError> {
        let summary = contents(self.summary.map(Said::Parts), &format!("{param}.summary"))?;
        let text = Message::new(Role::Assistant, summary).text();
        let thought = thought::unseal(text, self.encrypted_content.as_deref());
        Ok(Message::new(Role::Assistant, vec![Content::Reasoning(thought)]))
    }
}

fn contents(said: Option<Said>, param: &str) -> Result<Vec<Content>, ApiError> {
    let parts = match said {
        None => return Ok(Vec::new()),
        Some(Said::Text(text)) => return Ok(vec![Content::Text { text }]),
        Some(Said::Parts(parts)) => parts,
    };
    let parts = parts.into_iter().enumerate();
    parts.map(|(place, part)| part.into_content(&format!("{param}[{place}]"))).collect()
}

impl Part {
    fn into_content(self, param: &str) -> Result<Content, ApiError> {
        match (self.kind.as_str(), self.text, self.refusal, self.image_url) {
            ("input_text" | "output_text" | "summary_text" | "text", Some(text), ..)
            | ("refusal", _, Some(text), _) => Ok(Content::Text { text }),
            ("input_image", _, _, Some(url)) => image(&url, param).map(Content::Image),
            _ => {
                let message = "Supported are input_text, output_text and input_image by its image_url.";
                Err(ApiError::unsupported(param, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::llm::{Image, Reasoning};

    #[test]
    fn a_text_is_a_question() {
        assert_eq!(read(r#""hi""#).unwrap(), [Message::user("hi")]);
    }

    #[test]
    fn a_turn_of_the_model_is_one_message() {
        let messages = read(
            r#"[{"role":"user","content":[{"type":"input_text","text":"see"},{"type":"input_image","image_url":"https://h/i.png"}]},
            {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}]},
            {"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"wait","annotations":[]}]},
            {"type":"function_call","id":"fc_1","call_id":"c1","name":"look","arguments":"{\"x\":1}"},
            {"type":"function_call_output","call_id":"c1","output":"ten"}]"#,
        )
        .unwrap();
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0], Message::user("see").with_image(Image::url("https://h/i.png")));
        assert_eq!(messages[1].content[0], Content::Reasoning(Reasoning::new("hm")));
        assert_eq!(messages[1].text(), "wait");
        assert_eq!(messages[1].tool_calls().next().unwrap().arguments.as_str(), r#"{"x":1}"#);
        let result = Content::ToolResult { call_id: "c1".to_owned(), text: "ten".to_owned(), failed: false };
        assert_eq!(messages[2], Message::new(Role::Tool, vec![result]));
    }

    #[test]
    fn what_cannot_be_read_is_refused_where_it_stands() {
        for (input, param) in [
            ("[]", "input"),
            (r#"[{"role":"robot","content":"x"}]"#, "input[0].role"),
            (r#"[{"type":"web_search_call"}]"#, "input[0].type"),
            (r#"[{"type":"function_call","name":"x"}]"#, "input[0]"),
            (r#"[{"role":"user","content":[{"type":"input_file"}]}]"#, "input[0].content[0]"),
            (r#"[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]"#, "input[0].content[0]"),
        ] {
            assert_eq!(read(input).unwrap_err().body().error.param, Some(param), "{input}");
        }
    }

    fn read(input: &str) -> Result<Vec<Message>, ApiError> {
        conversation(serde_json::from_str(input).unwrap())
    }
}
