use agentscale::core::llm::{FinishReason, Message, Reasoning, Role, ToolCall, Usage};
use agentscale::core::{Error, ErrorKind, Json};
use serde_json::{Value, json};

use super::*;
use crate::api::heading::Heading;
use crate::api::responses::request::ResponseRequest;

#[test]
fn a_text_begins_grows_and_is_done_under_one_id() {
    let events = told(
        "{}",
        [CompletionEvent::Text("Hi".to_owned()), CompletionEvent::Text(" you".to_owned())],
        vec![Content::Text { text: "Hi you".to_owned() }],
        FinishReason::Stop,
    );
    let names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert_eq!(events[6]["text"], "Hi you");
    assert_eq!(events[4]["item_id"], events[8]["item"]["id"]);
    assert_eq!(events[9]["response"]["output"][0], events[8]["item"]);
    assert_eq!(events[9]["response"]["usage"]["total_tokens"], 3);
}

#[test]
fn thoughts_come_before_what_is_said_and_keep_their_seal() {
    let opaque = Json::parse(r#"{"signature":"s"}"#).unwrap();
    let events = told(
        r#"{"include":["reasoning.encrypted_content"]}"#,
        [CompletionEvent::Reasoning("hm".to_owned()), CompletionEvent::Text("Hi".to_owned())],
        vec![
            Content::Reasoning(Reasoning::new("hm").with_opaque("anthropic", opaque)),
            Content::Text { text: "Hi".to_owned() },
        ],
        FinishReason::Stop,
    );
    let done: Vec<_> = events.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    assert_eq!((&done[0]["item"]["type"], &done[0]["output_index"]), (&json!("reasoning"), &json!(0)));
    assert!(done[0]["item"]["encrypted_content"].is_string());
    assert_eq!(done[0]["item"]["summary"][0]["text"], "hm");
    assert_eq!((&done[1]["item"]["type"], &done[1]["output_index"]), (&json!("message"), &json!(1)));
}

#[test]
fn a_seal_is_told_to_who_asks_for_it_alone() {
    let opaque = Json::parse(r#"{"signature":"s"}"#).unwrap();
    let thought = Content::Reasoning(Reasoning::new("hm").with_opaque("anthropic", opaque));
    let events = told("{}", [CompletionEvent::Reasoning("hm".to_owned())], vec![thought], FinishReason::Stop);
    assert_eq!(events.last().unwrap()["response"]["output"][0]["encrypted_content"], Value::Null);
}

#[test]
fn a_call_is_told_as_it_comes_and_done_at_the_end() {
    let arguments = Json::parse(r#"{"x":1}"#).unwrap();
    let call = ToolCall::new("c1", "look", arguments).with_signature("s");
    let more = |fragment: &str| CompletionEvent::ToolArguments { index: 0, fragment: fragment.to_owned() };
    let parts = [CompletionEvent::Text("Hi".to_owned()), started(0, &call), more("{\"x\""), more(":1}")];
    let text = Content::Text { text: "Hi".to_owned() };
    let events = told("{}", parts, vec![text, Content::ToolCall(call)], FinishReason::ToolCalls);
    let names = events.iter().map(|event| event["type"].as_str().unwrap()).skip(7);
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let begun = json!({"type": "function_call", "id": events[8]["item_id"], "status": "in_progress",
        "call_id": "c1__signature__s", "name": "look", "arguments": ""});
    assert_eq!((&events[7]["item"], &events[7]["output_index"]), (&begun, &json!(1)));
    assert_eq!((&events[10]["name"], &events[10]["arguments"]), (&json!("look"), &json!(r#"{"x":1}"#)));
    assert_eq!(events[13]["response"]["output"][1], events[12]["item"]);
    assert_eq!(events[12]["item"]["arguments"], r#"{"x":1}"#);
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let call = ToolCall::new("c1", "look", Json::parse("{}").unwrap());
    let events = told("{}", [started(0, &call)], vec![Content::ToolCall(call)], FinishReason::ToolCalls);
    let delta = events.iter().find(|e| e["type"] == "response.function_call_arguments.delta").unwrap();
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!((&delta["delta"], &output[0]["arguments"]), (&json!("{}"), &json!("{}")));
}

#[test]
fn a_call_stands_behind_the_thoughts_that_go_back_with_it() {
    let opaque = Json::parse(r#"{"signature":"s"}"#).unwrap();
    let hidden = Content::Reasoning(Reasoning::new("").with_opaque("anthropic", opaque));
    let call = ToolCall::new("c1", "look", Json::parse(r#"{"x":1}"#).unwrap());
    let events = told(
        r#"{"include":["reasoning.encrypted_content"]}"#,
        [started(0, &call)],
        vec![hidden, Content::ToolCall(call)],
        FinishReason::ToolCalls,
    );
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap();
    let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "function_call"]);
    let done = events.iter().find(|e| e["type"] == "response.function_call_arguments.done").unwrap();
    assert_eq!((&done["output_index"], &done["arguments"]), (&json!(1), &json!(r#"{"x":1}"#)));
}

#[test]
fn a_text_that_was_cut_is_incomplete() {
    let events = told("{}", [], Vec::new(), FinishReason::Length);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
}

#[test]
fn an_answer_that_broke_off_failed() {
    let mut out = EventText::default();
    ResponseEvents::new(about("{}")).fail(&Error::new(ErrorKind::Unavailable, "test").into(), &mut out);
    let events = read(&out);
    assert_eq!((&events[0]["type"], &events[0]["code"]), (&json!("error"), &json!("unavailable")));
    assert_eq!(events[1]["response"]["status"], "failed");
}

fn told(
    body: &str,
    parts: impl IntoIterator<Item = CompletionEvent>,
    content: Vec<Content>,
    reason: FinishReason,
) -> Vec<Value> {
    let mut events = ResponseEvents::new(about(body));
    let mut out = EventText::default();
    events.begin(&mut out);
    let message = Message::new(Role::Assistant, content);
    let finished = Completion::new(message, reason, Usage::new(2, 1), "inner");
    for part in parts.into_iter().chain([CompletionEvent::Finished(finished)]) {
        events.part(part, &mut out);
    }
    read(&out)
}

fn started(index: u32, call: &ToolCall) -> CompletionEvent {
    let ToolCall { id, name, signature, .. } = call.clone();
    CompletionEvent::ToolCallStarted { index, id, name, signature }
}

fn about(body: &str) -> About {
    let request: ResponseRequest = serde_json::from_str(body).unwrap();
    let heading = Heading { id: "resp_1".to_owned(), created: 7, model: "m".to_owned() };
    About { heading, echo: request.echo().unwrap(), thoughts: request.thoughts() }
}

/// The data of the events, each of which has the name that its data says.
fn read(out: &EventText) -> Vec<Value> {
    let events = out.as_str().split("\n\n").filter(|event| !event.is_empty());
    events
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"]);
            data
        })
        .collect()
}
