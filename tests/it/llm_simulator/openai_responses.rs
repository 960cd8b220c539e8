use serde_json::{Value, json};

use super::server::Server;
use super::{assert_fits, schema};

const PATH: &str = "/v1/responses";

fn ask(fields: Value) -> Value {
    let mut body = json!({"model": "m", "input": "How long does a lease last?"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn tools() -> Value {
    json!([{"type": "function", "name": "find", "parameters": schema()}])
}

/// Names without repeats of deltas, after a check of the sequence numbers.
fn names(events: &[(String, String)]) -> Vec<String> {
    for (number, (name, data)) in events.iter().enumerate() {
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(number)));
    }
    let mut names: Vec<String> =
        events.iter().map(|(name, _)| name.strip_prefix("response.").unwrap().to_owned()).collect();
    names.dedup();
    names
}

#[tokio::test]
async fn a_text_comes_as_a_message_with_its_reasoning_before_it() {
    let server = Server::start();
    let reasoning = json!({"effort": "low", "summary": "auto"});
    let whole = server.post(PATH, &ask(json!({"reasoning": reasoning}))).await.json();
    let answer = server.post(PATH, &ask(json!({"reasoning": reasoning, "stream": true}))).await;
    assert_eq!(
        names(&answer.events("\n\n")),
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
    );
    let data = answer.data("\n\n");
    assert_eq!(data.last().unwrap()["response"], whole);
    assert_eq!((&whole["status"], &whole["output"][0]["type"]), (&json!("completed"), &json!("reasoning")));
    let text: String = data
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(whole["output"][1]["content"][0]["text"], text);
    assert_eq!(whole["usage"]["output_tokens_details"]["reasoning_tokens"], 12);
}

#[tokio::test]
async fn a_call_comes_in_fragments_and_its_result_is_taken() {
    let server = Server::start();
    let answer = server.post(PATH, &ask(json!({"tools": tools(), "stream": true}))).await;
    assert_eq!(
        names(&answer.events("\n\n")),
        [
            "created",
            "in_progress",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    let data = answer.data("\n\n");
    let call = data.last().unwrap()["response"]["output"][0].clone();
    let deltas = data.iter().filter(|event| event["type"] == "response.function_call_arguments.delta");
    let joined: String = deltas.map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!(call["arguments"], joined.as_str());
    assert_fits(&serde_json::from_str(&joined).unwrap());
    let question = json!({"role": "user", "content": [{"type": "input_text", "text": "how long?"}]});
    let result = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "ten seconds"});
    let second = ask(json!({"tools": tools(), "input": [question, call, result]}));
    let second = server.post(PATH, &second).await.json();
    assert_eq!(second["output"][0]["type"], "message", "{second}");
    let unanswered = server.post(PATH, &ask(json!({"input": [question, call]}))).await;
    assert_eq!((unanswered.status, &unanswered.json()["error"]["param"]), (400, &json!("input")));
    let uncalled = server.post(PATH, &ask(json!({"input": [question, result]}))).await;
    assert_eq!(uncalled.status, 400);
}

#[tokio::test]
async fn an_answer_at_its_limit_is_incomplete_and_tells_its_usage() {
    let answers = json!({"answers": {"min_tokens": 40, "max_tokens": 40}});
    let server = Server::with(answers);
    let answer = server.post(PATH, &ask(json!({"max_output_tokens": 16, "stream": true}))).await;
    let last = answer.data("\n\n").pop().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(last["response"]["usage"]["output_tokens"], 16);
}

#[tokio::test]
async fn a_schema_is_fitted() {
    let format = json!({"type": "json_schema", "name": "x", "strict": true, "schema": schema()});
    let answer = Server::start().post(PATH, &ask(json!({"text": {"format": format}}))).await.json();
    assert_fits(&serde_json::from_str(answer["output"][0]["content"][0]["text"].as_str().unwrap()).unwrap());
}

#[tokio::test]
async fn requests_are_refused_in_openais_words() {
    let server = Server::start();
    for (body, param, code) in [
        (json!({"model": "m"}), "input", "missing_required_parameter"),
        (json!({"model": "m", "input": []}), "input", "missing_required_parameter"),
        (
            json!({"model": "m", "input": [{"role": "tool", "content": "x"}]}),
            "input[0].role",
            "invalid_value",
        ),
        (ask(json!({"max_output_tokens": 1})), "max_output_tokens", "integer_below_min_value"),
        (
            ask(json!({"previous_response_id": "resp_1"})),
            "previous_response_id",
            "previous_response_not_found",
        ),
    ] {
        let answer = server.post(PATH, &body).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["param"], &error["code"]), (400, &json!(param), &json!(code)));
    }
}
