//! What a provider does as far as its capabilities name it.

use std::collections::BTreeMap;
use std::error::Error as _;

use serde::de::IgnoredAny;

use super::scene::{
    MARK, demanding_a_tool, demanding_an_object, demanding_json, find_tool, json, pixel, question,
};
use super::streams::events;
use crate::llm::{
    CompletionEvent, CompletionRequest, Content, FinishReason, LlmProvider, Message, Role, ToolCall,
};
use crate::{Error, ErrorKind};

/// A tool that the request demands is called, with a JSON object; without tools the demand is `unsupported`.
pub async fn a_demanded_tool_is_called_or_unsupported<P: LlmProvider>(provider: &P) {
    let answer = provider.complete(demanding_a_tool()).await;
    if !provider.capabilities().tools {
        assert_eq!(answer.as_ref().map_err(Error::kind).err(), Some(ErrorKind::Unsupported), "{answer:?}");
        return;
    }
    let answer = answer.expect("an answer");
    let call = answer.message.tool_calls().next().expect("a call");
    assert_eq!((call.name.as_str(), answer.finish_reason), ("find", FinishReason::ToolCalls));
    assert!(!call.id.is_empty());
    call.arguments.decode::<BTreeMap<String, IgnoredAny>>().expect("a json object");
}

/// The fragments of a streamed call are its arguments.
pub async fn a_streamed_tool_call_is_its_fragments_or_unsupported<P: LlmProvider>(provider: &P) {
    if !provider.capabilities().tools {
        let refused = provider.stream(demanding_a_tool()).await.map(drop);
        assert_eq!(refused.as_ref().map_err(Error::kind).err(), Some(ErrorKind::Unsupported));
        return;
    }
    let mut fragments: BTreeMap<u32, String> = BTreeMap::new();
    for event in events(provider, demanding_a_tool()).await {
        match event {
            CompletionEvent::ToolCallStarted { .. } => {}
            CompletionEvent::ToolArguments { index, fragment } => {
                fragments.entry(index).or_default().push_str(&fragment);
            }
            CompletionEvent::Finished(answer) => {
                let calls: Vec<_> = answer.message.tool_calls().map(|call| call.arguments.as_str()).collect();
                assert!(!calls.is_empty(), "{answer:?}");
                // A call without arguments has `{}` and may come without a fragment.
                let joined = fragments.values().filter(|text| !text.is_empty());
                let spoken = calls.iter().filter(|text| **text != "{}" || fragments.len() == calls.len());
                assert!(joined.map(String::as_str).eq(spoken.copied()), "{fragments:?} {calls:?}");
            }
            CompletionEvent::Text(_) | CompletionEvent::Reasoning(_) => {}
        }
    }
}

/// Where the model goes on from words of the assistant, its answer holds what comes behind them.
pub async fn words_of_the_assistant_are_gone_on_from<P: LlmProvider>(provider: &P) {
    let mut begun = question();
    if !provider.capabilities_of(&begun.model).continuation {
        return;
    }
    const WORDS: &str = "Every lease that an agent holds lasts";
    begun.messages.push(Message::assistant(WORDS));
    let answer = provider.complete(begun).await.expect("an answer");
    assert!(!answer.text().starts_with(WORDS), "{answer:?}");
}

/// A streamed call is told once, before its arguments, as it stands in the answer.
pub async fn a_streamed_tool_call_begins_before_its_arguments<P: LlmProvider>(provider: &P) {
    if !provider.capabilities().tools {
        return;
    }
    let mut started = BTreeMap::new();
    for event in events(provider, demanding_a_tool()).await {
        match event {
            CompletionEvent::ToolCallStarted { index, id, name, signature } => {
                assert!(started.insert(index, (id, name, signature)).is_none(), "{index} started twice");
            }
            CompletionEvent::ToolArguments { index, .. } => assert!(started.contains_key(&index), "{index}"),
            CompletionEvent::Finished(answer) => {
                let calls = answer.message.tool_calls();
                let calls = calls.map(|call| (call.id.clone(), call.name.clone(), call.signature.clone()));
                assert_eq!(started.values().cloned().collect::<Vec<_>>(), calls.collect::<Vec<_>>());
            }
            CompletionEvent::Text(_) | CompletionEvent::Reasoning(_) => {}
        }
    }
}

/// A conversation that holds a call and its result goes on.
pub async fn results_of_tools_are_taken<P: LlmProvider>(provider: &P) {
    if !provider.capabilities().tools {
        return;
    }
    let call = ToolCall::new("call_1", "find", json(r#"{"words":"lease"}"#));
    let text = "A lease lasts ten seconds.".to_owned();
    let result = Content::ToolResult { call_id: "call_1".to_owned(), text, failed: false };
    let messages = vec![
        Message::user("How long does a lease last?"),
        Message::new(Role::Assistant, vec![Content::ToolCall(call)]),
        Message::new(Role::Tool, vec![result]),
    ];
    let request = CompletionRequest::new(messages).with_tools(vec![find_tool()]);
    provider.complete(request).await.expect("an answer");
}

/// A schema gives an answer that is JSON; without structured output it is `unsupported`, never ignored.
pub async fn a_schema_gives_json_or_is_unsupported<P: LlmProvider>(provider: &P) {
    let answer = provider.complete(demanding_json()).await;
    if provider.capabilities().structured_output {
        let text = answer.expect("an answer").text();
        crate::Json::parse(text).expect("json");
    } else {
        assert_eq!(answer.as_ref().map_err(Error::kind).err(), Some(ErrorKind::Unsupported), "{answer:?}");
    }
}

/// Where an object is asked for the answer is one; a provider that knows no such form says `unsupported`.
pub async fn an_object_is_given_or_unsupported<P: LlmProvider>(provider: &P) {
    let answer = provider.complete(demanding_an_object()).await;
    if provider.capabilities().json_object {
        let text = crate::Json::parse(answer.expect("an answer").text()).expect("json");
        text.decode::<BTreeMap<String, IgnoredAny>>().expect("an object");
    } else {
        assert_eq!(answer.as_ref().map_err(Error::kind).err(), Some(ErrorKind::Unsupported), "{answer:?}");
    }
}

/// An image is taken; a provider that cannot see refuses it as `unsupported`, never answers as if it had seen.
pub async fn an_image_is_taken_or_unsupported<P: LlmProvider>(provider: &P) {
    let mut request = question();
    request.messages.push(Message::user("And what does this show?").with_image(pixel()));
    let answer = provider.complete(request).await;
    if provider.capabilities().images {
        answer.expect("an answer");
    } else {
        assert_eq!(answer.as_ref().map_err(Error::kind).err(), Some(ErrorKind::Unsupported), "{answer:?}");
    }
}

/// Errors, with all that is behind them, hold nothing of the prompt.
pub async fn no_error_shows_the_prompt<P: LlmProvider>(provider: &P) {
    let unknown_model = question().with_model("no-such-model-7Q");
    for request in [demanding_a_tool(), demanding_json(), demanding_an_object(), unknown_model] {
        if let Err(error) = provider.complete(request).await {
            let mut shown = format!("{error} {error:?}");
            let mut source = error.source();
            while let Some(cause) = source {
                shown.push_str(&format!(" {cause} {cause:?}"));
                source = cause.source();
            }
            assert!(!shown.contains(MARK), "{shown}");
        }
    }
}
