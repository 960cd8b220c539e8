use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::{assert_fits, schema};

fn ask(fields: Value) -> Value {
    let mut body =
        json!({"model": "m", "messages": [{"role": "user", "content": "How long does a lease last?"}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn lines(answer: &Answer) -> Vec<Value> {
    assert!(answer.text().ends_with('\n'));
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_answer_is_streamed_as_lines_unless_asked_otherwise() {
    let server = Server::start();
    let whole = server.post("/api/chat", &ask(json!({"stream": false, "think": true}))).await.json();
    let answer = server.post("/api/chat", &ask(json!({"think": true}))).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines = lines(&answer);
    let joined =
        |field: &str| -> String { lines.iter().filter_map(|line| line["message"][field].as_str()).collect() };
    assert_eq!(whole["message"]["content"], joined("content"));
    assert_eq!(whole["message"]["thinking"], joined("thinking"));
    let (last, before) = lines.split_last().unwrap();
    assert!(before.iter().all(|line| line["done"] == false && line["message"]["role"] == "assistant"));
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")));
    assert_eq!((&last["prompt_eval_count"], &last["eval_count"]), (&json!(7), &json!(before.len())));
}

#[tokio::test]
async fn calls_come_whole_with_an_object_of_arguments() {
    let tools = json!([{"type": "function", "function": {"name": "find", "parameters": schema()}}]);
    let server = Server::start();
    let lines = lines(&server.post("/api/chat", &ask(json!({"tools": tools}))).await);
    let call = &lines[0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call["name"], "find");
    assert_fits(&call["arguments"]);
    assert_eq!((lines.len(), &lines[1]["done_reason"]), (2, &json!("stop")));
    let result = json!({"role": "tool", "tool_name": "find", "content": "ten seconds"});
    let called = lines[0]["message"].clone();
    let messages = json!([{"role": "user", "content": "how long?"}, called, result]);
    let answered = ask(json!({"tools": tools, "stream": false, "messages": messages}));
    assert_ne!(server.post("/api/chat", &answered).await.json()["message"]["content"], "");
}

#[tokio::test]
async fn a_schema_is_fitted_and_options_are_obeyed() {
    let server = Server::start();
    let answer = server.post("/api/chat", &ask(json!({"format": schema(), "stream": false}))).await.json();
    assert_fits(&serde_json::from_str(answer["message"]["content"].as_str().unwrap()).unwrap());
    let short = json!({"options": {"num_predict": 3}, "stream": false});
    let short = server.post("/api/chat", &ask(short)).await.json();
    assert_eq!((&short["done_reason"], &short["eval_count"]), (&json!("length"), &json!(3)));
}

#[tokio::test]
async fn requests_are_refused_in_ollamas_words() {
    let server = Server::with(json!({"models": [{"name": "m"}]}));
    for (body, status, error) in [
        (json!({"messages": []}).to_string(), 400, "model is required"),
        (String::new(), 400, "missing request body"),
        (ask(json!({"model": "n"})).to_string(), 404, "model 'n' not found"),
    ] {
        let answer = server.send("POST", "/api/chat", &[], body).await;
        assert_eq!((answer.status, answer.json()), (status, json!({"error": error})));
    }
    assert_eq!(server.post("/api/chat", &ask(json!({"model": "m:latest"}))).await.status, 200);
    let loaded =
        server.post("/api/chat", &json!({"model": "m", "messages": [], "stream": false})).await.json();
    assert_eq!((&loaded["done_reason"], &loaded["message"]["content"]), (&json!("load"), &json!("")));
    assert_eq!(server.get("/api/tags").await.json()["models"][0]["name"], "m");
}

#[tokio::test]
async fn vectors_come_for_one_text_and_for_many() {
    let server = Server::start();
    let embed =
        async |input: Value| server.post("/api/embed", &json!({"model": "e", "input": input})).await.json();
    let (one, many) = (embed(json!("a b")).await, embed(json!(["b a", "a b"])).await);
    assert_eq!(one["embeddings"][0], many["embeddings"][1]);
    assert_eq!((&one["prompt_eval_count"], many["embeddings"].as_array().unwrap().len()), (&json!(1), 2));
    assert_eq!(embed(json!([])).await["embeddings"], json!([]));
}
