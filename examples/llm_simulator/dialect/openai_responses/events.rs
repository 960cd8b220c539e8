use serde_json::{Value, json};

use super::super::read::quoted;
use super::{function_call, message, output, response, text_part, usage};
use crate::answer::{Answer, Call, Finish};
use crate::body::{Event, Events};

/// An event's name, its other fields as the inside of an object, and its tokens.
type Part = (&'static str, String, u64);
type Parts = Box<dyn Iterator<Item = Part> + Send>;

pub(super) fn of(answer: Answer) -> Events {
    let begun = json!({"response": response(&answer, &[], None)});
    let ended = json!({"response": response(&answer, &output(&answer), Some(&usage(&answer.usage)))});
    let last = if answer.finish == Finish::Length { "response.incomplete" } else { "response.completed" };

    let mut place = 0;
    let mut next = || {
        place += 1;
        place - 1
    };
    let thinking = answer.usage.thinking > 0;
    let reasoning = thinking.then(|| reasoning(&answer, next()));
    let text = (!answer.text.is_empty()).then(|| text(&answer, next()));
    let calls: Vec<Parts> = answer.calls.into_iter().map(|call| self::call(&call, next())).collect();
    let items = reasoning.into_iter().chain(text).chain(calls).flatten();
    let beginning = [part("response.created", &begun), part("response.in_progress", &begun)];
    let parts = beginning.into_iter().chain(items).chain([part(last, &ended)]);
    Box::new(parts.enumerate().map(|(number, (name, fields, tokens))| {
        let data = format!(r#"{{"type":"{name}","sequence_number":{number},{fields}}}"#);
        Event { bytes: format!("event: {name}\ndata: {data}\n\n").into(), tokens }
    }))
}

fn reasoning(answer: &Answer, place: usize) -> Parts {
    let id = format!("rs_{}", answer.id);
    let empty = json!({"id": id, "type": "reasoning", "summary": []});
    let added = part("response.output_item.added", &json!({"output_index": place, "item": empty}));
    if answer.thinking.is_empty() {
        // Its tokens have passed before anything is seen.
        let done = part("response.output_item.done", &json!({"output_index": place, "item": empty}));
        return Box::new([added, (done.0, done.1, answer.usage.thinking)].into_iter());
    }
    let at = json!({"item_id": id, "output_index": place, "summary_index": 0});
    let with = |name: &str, value: Value| {
        let mut fields = at.clone();
        fields[name] = value;
        fields
    };
    let whole = answer.thoughts();
    let summary = json!({"type": "summary_text", "text": whole});
    let begun = part(
        "response.reasoning_summary_part.added",
        &with("part", json!({"type": "summary_text", "text": ""})),
    );
    let head = format!(r#""item_id":"{id}","output_index":{place},"summary_index":0,"delta":"#);
    let deltas =
        answer.thinking.clone().into_iter().map(move |token| {
            ("response.reasoning_summary_text.delta", format!("{head}{}", quoted(&token)), 1)
        });
    let item = json!({"id": id, "type": "reasoning", "summary": [summary.clone()]});
    let ends = [
        part("response.reasoning_summary_text.done", &with("text", json!(whole))),
        part("response.reasoning_summary_part.done", &with("part", summary)),
        part("response.output_item.done", &json!({"output_index": place, "item": item})),
    ];
    Box::new([added, begun].into_iter().chain(deltas).chain(ends))
}

fn text(answer: &Answer, place: usize) -> Parts {
    let id = format!("msg_{}", answer.id);
    let item =
        json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    let with = |name: &str, value: Value| {
        let mut fields = json!({"item_id": id, "output_index": place, "content_index": 0});
        fields[name] = value;
        fields
    };
    let begins = [
        part("response.output_item.added", &json!({"output_index": place, "item": item})),
        part("response.content_part.added", &with("part", text_part(""))),
    ];
    let head = format!(r#""item_id":"{id}","output_index":{place},"content_index":0,"logprobs":[],"delta":"#);
    let deltas = answer
        .text
        .clone()
        .into_iter()
        .map(move |token| ("response.output_text.delta", format!("{head}{}", quoted(&token)), 1));
    let whole = answer.text();
    let mut done = with("text", json!(whole));
    done["logprobs"] = json!([]);
    let ends = [
        part("response.output_text.done", &done),
        part("response.content_part.done", &with("part", text_part(&whole))),
        part("response.output_item.done", &json!({"output_index": place, "item": message(answer)})),
    ];
    Box::new(begins.into_iter().chain(deltas).chain(ends))
}

fn call(call: &Call, place: usize) -> Parts {
    let done = function_call(call);
    let mut begun = done.clone();
    begun["arguments"] = json!("");
    begun["status"] = json!("in_progress");
    let added = part("response.output_item.added", &json!({"output_index": place, "item": begun}));
    let id = format!("fc_{}", call.id);
    let head = format!(r#""item_id":"{id}","output_index":{place},"delta":"#);
    let deltas = call.fragments().into_iter().map(move |fragment| {
        ("response.function_call_arguments.delta", format!("{head}{}", quoted(&fragment)), 1)
    });
    let ends = [
        part(
            "response.function_call_arguments.done",
            &json!({"item_id": id, "output_index": place, "name": call.name, "arguments": call.arguments}),
        ),
        part("response.output_item.done", &json!({"output_index": place, "item": done})),
    ];
    Box::new([added].into_iter().chain(deltas).chain(ends))
}

/// An event whose fields are those of an object.
fn part(name: &'static str, fields: &Value) -> Part {
    let object = fields.to_string();
    (name, object[1..object.len() - 1].to_owned(), 0)
}
