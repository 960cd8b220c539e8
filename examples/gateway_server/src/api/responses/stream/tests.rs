use agentscale::core::llm::{FinishReason, Message, Reasoning, Role, Usage};
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
fn a_call_is_told_whole() {
    let call = ToolCall::new("c1", "look", Json::parse(r#"{"x":1}"#).unwrap());
    let events = told("{}", [], vec![Content::ToolCall(call)], FinishReason::ToolCalls);
    let done = events.iter().find(|e| e["type"] == "response.function_call_arguments.done").unwrap();
    assert_eq!((&done["name"], &done["arguments"]), (&json!("look"), &json!(r#"{"x":1}"#)));
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!((&output[0]["type"], &output[0]["call_id"]), (&json!("function_call"), &json!("c1")));
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
