use std::borrow::Cow;

use agentscale_core::Json;
use agentscale_core::llm::{Content, Message, Role};

use serde::Deserialize;

use super::wire::{InputItem, MessageContent, Part};
use crate::openai::parts::{image_url, text};
use crate::openai::responses::API_NAME;

/// A message as items, in the order of its parts: what is said and shown together is one.
pub(super) fn items(message: &Message) -> Vec<InputItem<'_>> {
    let (mut items, mut said) = (Vec::new(), Vec::new());
    for part in &message.content {
        match other(part) {
            Some(item) => {
                end_message(message.role, &mut said, &mut items);
                items.push(item);
            }
            None => said.extend(said_part(part)),
        }
    }
    end_message(message.role, &mut said, &mut items);
    if items.is_empty() {
        items.push(InputItem::Message {
            role: role(message.role),
            content: MessageContent::Text(String::new()),
        });
    }
    items
}

/// A part that is an item of its own.
fn other(part: &Content) -> Option<InputItem<'_>> {
    Some(match part {
        Content::Reasoning(reasoning) => {
            InputItem::Thought(reasoning.opaque_of(API_NAME).filter(|item| is_thought(item))?)
        }
        Content::ToolCall(call) => InputItem::Call {
            kind: "function_call",
            call_id: &call.id,
            name: &call.name,
            arguments: call.arguments.as_str(),
        },
        Content::ToolResult { call_id, text, failed } => {
            let output =
                if *failed { Cow::Owned(format!("error: {text}")) } else { Cow::Borrowed(text.as_str()) };
            InputItem::Result { kind: "function_call_output", call_id, output }
        }
        _ => return None,
    })
}

fn said_part(part: &Content) -> Option<Part<'_>> {
    match part {
        Content::Image(image) => Some(Part::InputImage { image_url: image_url(image)?, detail: "auto" }),
        part => text(part).map(|text| Part::InputText { text }),
    }
}

fn end_message<'a>(spoken_by: Role, said: &mut Vec<Part<'a>>, items: &mut Vec<InputItem<'a>>) {
    if said.is_empty() {
        return;
    }
    let parts = std::mem::take(said);
    let texts: Option<Vec<_>> = parts
        .iter()
        .map(|part| match part {
            Part::InputText { text } => Some(&**text),
            Part::InputImage { .. } => None,
        })
        .collect();
    let content = match texts {
        Some(texts) => MessageContent::Text(texts.join("\n\n")),
        None => MessageContent::Parts(parts),
    };
    items.push(InputItem::Message { role: role(spoken_by), content });
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Assistant => "assistant",
        // What is left of a tool's message beside its results has no place of its own on this wire.
        _ => "user",
    }
}

/// A host may have taken it from a caller: as another item it could name what is not the caller's, or cost what nobody
/// reserved.
fn is_thought(item: &Json) -> bool {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }

    item.decode().is_ok_and(|Typed { kind }| kind == "reasoning")
}

#[cfg(test)]
mod tests {
    use agentscale_core::llm::Reasoning;

    use super::*;

    #[test]
    fn nothing_but_a_thought_goes_back_as_one() {
        let sent = |item: &str| {
            let thought = Reasoning::new("").with_opaque(API_NAME, Json::parse(item).unwrap());
            let message = Message::new(Role::Assistant, vec![Content::Reasoning(thought)]);
            items(&message).iter().filter(|item| matches!(item, InputItem::Thought(_))).count()
        };
        assert_eq!(sent(r#"{"type":"reasoning","id":"rs_1","encrypted_content":"x"}"#), 1);
        for item in [
            r#"{"type":"item_reference","id":"msg_of_another"}"#,
            r#"{"type":"message","role":"user","content":[{"type":"input_file","file_id":"file_of_another"}]}"#,
            r#"{"type":"reasoning","type":"item_reference","id":"x"}"#,
            r#"{"id":"x"}"#,
            "7",
        ] {
            assert_eq!(sent(item), 0, "{item}");
        }
    }
}
