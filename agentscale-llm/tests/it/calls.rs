//! When the decoders tell that a tool call begins.

use agentscale_core::ErrorKind;
use agentscale_core::llm::CompletionEvent;
use agentscale_llm::decode::{Dialect, StreamDecoder};

/// A stream's end by dialect, behind which nothing is missing.
fn end(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
        Dialect::OpenAiResponses => {
            "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n"
        }
        Dialect::Anthropic => "data: {\"type\":\"message_stop\"}\n\n",
        Dialect::Gemini => "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n",
        _ => "{\"done\":true}\n",
    }
}

/// The calls that a stream of `data` tells: `+ID NAME` where one begins, its arguments, `.` where the events of one
/// datum end. Those of the finished answer are checked to be the same.
fn told(dialect: Dialect, data: &[&str]) -> String {
    let mut decoder = StreamDecoder::new(dialect);
    let (mut told, mut starts) = (String::new(), Vec::new());
    let mut tell = |events: Vec<CompletionEvent>| {
        for event in events {
            match event {
                CompletionEvent::ToolCallStarted { id, name, signature, .. } => {
                    told.push_str(&format!("+{id} {name}"));
                    starts.push((id, name, signature));
                }
                CompletionEvent::ToolArguments { fragment, .. } => told.push_str(&fragment),
                other => panic!("{other:?}"),
            }
        }
        told.push('.');
    };
    for datum in data {
        let mut events = Vec::new();
        let prefix = if dialect == Dialect::Ollama { "" } else { "data: " };
        decoder.push(format!("{prefix}{datum}\n\n").as_bytes(), &mut events).unwrap();
        tell(events);
    }
    let mut events = Vec::new();
    decoder.push(end(dialect).as_bytes(), &mut events).unwrap();
    let answer = decoder.finish_into(&mut events).unwrap();
    tell(events);
    let calls = answer.message.tool_calls();
    let calls: Vec<_> =
        calls.map(|call| (call.id.clone(), call.name.clone(), call.signature.clone())).collect();
    assert_eq!(starts, calls);
    told
}

/// A chunk of a chat completion with a part of the call at `index`.
fn chat(parts: &[&str]) -> Vec<String> {
    let chunk =
        |part: &&str| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":0,{part}}}]}}}}]}}"#);
    parts.iter().map(chunk).collect()
}

fn told_of_chat(parts: &[&str]) -> String {
    let chunks = chat(parts);
    told(Dialect::OpenAiChat, &chunks.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_call_of_a_chat_begins_with_its_id_and_name() {
    let first = r#""id":"a","function":{"name":"find","arguments":""}"#;
    let more = r#""function":{"arguments":"{}"}"#;
    assert_eq!(told_of_chat(&[first, more]), "+a find.{}..");
    assert_eq!(told_of_chat(&[first]), "+a find..", "without arguments too");
}

#[test]
fn an_id_behind_the_name_is_awaited_until_arguments_come() {
    let (name, id) = (r#""function":{"name":"find"}"#, r#""id":"a""#);
    let arguments = r#""function":{"arguments":"{}"}"#;
    assert_eq!(told_of_chat(&[name, id, arguments]), ".+a find.{}..");
    assert_eq!(told_of_chat(&[id, name, arguments]), ".+a find.{}..");
    assert_eq!(told_of_chat(&[name, arguments, id]), ".+call_0 find{}...", "the id that was told stays");
    assert_eq!(told_of_chat(&[name, arguments]), ".+call_0 find{}..");
    assert_eq!(told_of_chat(&[name]), ".+call_0 find.", "nothing more can come");
}

#[test]
fn arguments_before_the_name_are_told_behind_it() {
    let piece = |text: &str| format!(r#""function":{{"arguments":"{text}"}}"#);
    let named = r#""id":"a","function":{"name":"find"}"#;
    assert_eq!(told_of_chat(&[&piece("["), &piece("1"), named, &piece("]")]), "..+a find[1.]..");
}

#[test]
fn a_call_without_a_name_never_begins() {
    let mut decoder = StreamDecoder::new(Dialect::OpenAiChat);
    let mut events = Vec::new();
    for chunk in chat(&[r#""id":"a","function":{"arguments":"{}"}"#]) {
        decoder.push(format!("data: {chunk}\n\n").as_bytes(), &mut events).unwrap();
    }
    decoder.push(end(Dialect::OpenAiChat).as_bytes(), &mut events).unwrap();
    assert_eq!(decoder.finish_into(&mut events).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(events, []);
}

#[test]
fn a_call_of_a_response_begins_with_its_item() {
    let added = r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"fc","call_id":"a","name":"find","arguments":""}}"#;
    let delta = r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{}"}"#;
    let done = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"fc","call_id":"a","name":"find","arguments":"{}"}}"#;
    assert_eq!(told(Dialect::OpenAiResponses, &[added, delta, done]), "+a find.{}...");
    assert_eq!(told(Dialect::OpenAiResponses, &[delta, done]), ".+a find{}..", "the item came late");
    assert_eq!(told(Dialect::OpenAiResponses, &[done]), "+a find{}..");
}

#[test]
fn a_call_of_anthropic_begins_with_its_block() {
    let begin = r#"{"type":"message_start","message":{"model":"m","usage":{}}}"#;
    let block = |id: &str| {
        format!(
            r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"tool_use",{id}"name":"find","input":{{}}}}}}"#
        )
    };
    let delta =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#;
    let stop = r#"{"type":"content_block_stop","index":0}"#;
    let with_id = block(r#""id":"a","#);
    assert_eq!(told(Dialect::Anthropic, &[begin, &with_id, delta, stop]), ".+a find.{}...");
    assert_eq!(told(Dialect::Anthropic, &[begin, &block(""), stop]), ".+call_0 find...");
}

#[test]
fn a_call_of_gemini_begins_with_its_name_and_signature() {
    let part = |fields: &str| {
        format!(r#"{{"candidates":[{{"content":{{"parts":[{{{fields},"thoughtSignature":"s"}}]}}}}]}}"#)
    };
    let whole = part(r#""functionCall":{"name":"find","args":{}}"#);
    assert_eq!(told(Dialect::Gemini, &[&whole]), "+call_0 find{}..");
    let begun = part(r#""functionCall":{"id":"a","name":"find","willContinue":true}"#);
    let more = part(r#""functionCall":{"partialArgs":[{"jsonPath":"$.n","numberValue":1}]}"#);
    assert_eq!(told(Dialect::Gemini, &[&begun, &more]), r#"+a find.{"n":1}.."#);
}

#[test]
fn a_call_of_ollama_begins_with_its_arguments() {
    let two = r#"{"message":{"tool_calls":[{"function":{"name":"find","arguments":{}}},{"function":{"name":"now"}}]}}"#;
    assert_eq!(told(Dialect::Ollama, &[two]), "+call_0 find{}+call_1 now..");
}
