//! Ids of tool calls. Some providers want something back unread with a call, for which OpenAI's API has no field: it
//! stands behind the id, and is taken off again where the id comes back.

use agentscale::core::Json;
use agentscale::core::llm::ToolCall;

const MARK: &str = "__signature__";

/// The id of a call as its caller sees it.
pub(crate) fn shown(id: &str, signature: Option<&str>) -> String {
    match signature {
        Some(signature) => format!("{id}{MARK}{signature}"),
        None => id.to_owned(),
    }
}

/// The call whose id was shown.
pub(crate) fn call(shown: &str, name: String, arguments: Json) -> ToolCall {
    match shown.split_once(MARK) {
        Some((id, signature)) => ToolCall::new(id, name, arguments).with_signature(signature),
        None => ToolCall::new(shown, name, arguments),
    }
}

/// The id of the call whose id was shown.
pub(crate) fn id(shown: &str) -> &str {
    shown.split_once(MARK).map_or(shown, |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_an_id_comes_back_with_the_call_and_not_with_its_result() {
        let arguments = Json::parse("{}").unwrap();
        for known in [
            ToolCall::new("c1", "look", arguments.clone()),
            ToolCall::new("c1", "look", arguments.clone()).with_signature("CpQ/a+b="),
        ] {
            let shown = shown(&known.id, known.signature.as_deref());
            assert_eq!(call(&shown, "look".to_owned(), arguments.clone()), known);
            assert_eq!(id(&shown), "c1");
        }
    }
}
