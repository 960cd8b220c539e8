use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::server::{Answer, Server};

const CHAT: &str = "/v1/chat/completions";

fn body(stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
}

fn always(then: Value) -> Value {
    json!({"faults": [{"then": then}]})
}

async fn ask(server: &Server, stream: bool) -> Answer {
    server.post(CHAT, &body(stream)).await
}

#[tokio::test]
async fn each_dialect_has_its_own_body_for_a_status() {
    let server = Server::with(always(json!({"status": {"code": 429, "retry_after_ms": 1_500}})));
    let openai = ask(&server, false).await;
    assert_eq!(
        (openai.status, openai.header("retry-after"), openai.header("retry-after-ms")),
        (429, "2", "1500")
    );
    assert_eq!(openai.json()["error"]["code"], "rate_limit_exceeded");
    let message = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]});
    let headers = [("anthropic-version", "2023-06-01")];
    let anthropic = server.send("POST", "/v1/messages", &headers, message.to_string()).await;
    assert_eq!((anthropic.status, anthropic.header("retry-after")), (429, "2"));
    assert_eq!(anthropic.json()["error"]["type"], "rate_limit_error");
    let contents = json!({"contents": [{"parts": [{"text": "x"}]}]});
    let gemini = server.post("/v1beta/models/m:generateContent", &contents).await.json();
    assert_eq!(gemini["error"]["details"][0]["retryDelay"], "1.500s");
    let overloaded = Server::with(always(json!({"status": {"code": 529}})));
    let overloaded = overloaded.send("POST", "/v1/messages", &headers, message.to_string()).await;
    assert_eq!((overloaded.status, &overloaded.json()["error"]["type"]), (529, &json!("overloaded_error")));
    let quota = Server::with(always(json!({"error": "insufficient_quota"})));
    let quota = ask(&quota, false).await;
    assert_eq!((quota.status, &quota.json()["error"]["code"]), (429, &json!("insufficient_quota")));
}

#[tokio::test]
async fn rules_choose_by_number_model_key_and_chance() {
    let server = Server::with(json!({"faults": [
        {"when": {"model": "other"}, "then": {"status": {"code": 500}}},
        {"when": {"dialect": "anthropic"}, "then": {"status": {"code": 529}}},
        {"when": {"stream": true}, "then": {"status": {"code": 503}}},
        {"when": {"key": "k", "every": 2}, "then": {"status": {"code": 429}}},
        {"when": {"requests": [2, 3]}, "then": {"html": {"status": 502}}},
    ]}));
    let other = server.post(CHAT, &json!({"model": "other", "messages": body(false)["messages"]})).await;
    assert_eq!((other.status, ask(&server, true).await.status), (500, 503));
    let keyed = async || {
        server.send("POST", CHAT, &[("authorization", "Bearer k")], body(false).to_string()).await.status
    };
    // The last rule counts all of these, and what the others took too.
    assert_eq!([keyed().await, keyed().await], [502, 429]);
    let statuses = [ask(&server, false).await.status, ask(&server, false).await.status];
    assert_eq!(statuses, [200, 200]);
    assert_eq!(server.stats().await["faults"], 4);

    let script = json!({"faults": [{"when": {"probability": 0.5}, "then": {"status": {"code": 500}}}]});
    let (one, same) = (Server::seeded(3, script.clone()), Server::seeded(3, script));
    let mut statuses = Vec::new();
    for _ in 0..32 {
        let status = ask(&one, false).await.status;
        assert_eq!(status, ask(&same, false).await.status);
        statuses.push(status);
    }
    assert!(statuses.contains(&200) && statuses.contains(&500), "{statuses:?}");
}

#[tokio::test]
async fn a_stream_is_cut_with_and_without_a_broken_connection() {
    let whole = ask(&Server::start(), true).await;
    for (how, broken) in [("drop", true), ("end", false)] {
        let server = Server::with(always(json!({"cut": {"after_events": 4, "how": how}})));
        let cut = ask(&server, true).await;
        assert_eq!((cut.status, cut.cut, cut.data("\n\n").len()), (200, broken, 4));
        assert!(whole.body.starts_with(&cut.body));
        let half = ask(&server, false).await;
        assert_eq!((half.status, half.cut), (200, broken));
        assert!(serde_json::from_slice::<Value>(&half.body).is_err());
        let vectors = server.post("/v1/embeddings", &json!({"model": "e", "input": "x"})).await;
        assert_eq!((vectors.status, vectors.cut), (200, broken));
        let h2 = server.send_h2(CHAT, body(true).to_string()).await;
        assert_eq!((h2.cut, &h2.body), (broken, &cut.body));
        let bill = &server.stats().await["keys"]["none"]["m"];
        assert_eq!((&bill["requests"], &bill["cut"]), (&json!(3), &json!(3)), "{bill}");
    }
    let server = Server::with(always(json!({"cut": {"after_events": 4, "how": "drop"}})));
    ask(&server, true).await;
    let bill = &server.stats().await["keys"]["none"]["m"];
    assert_eq!((&bill["output_tokens"], &bill["cut_output_tokens"]), (&json!(3), &json!(3)), "{bill}");
}

#[tokio::test]
async fn pages_garbage_and_errors_come_instead_of_what_was_expected() {
    let page = ask(&Server::with(always(json!({"html": {"status": 502}}))), false).await;
    assert_eq!((page.status, page.header("content-type")), (502, "text/html"));
    assert!(page.text().starts_with("<html>"));
    let garbage = Server::with(always(json!({"garbage": {"after_events": 2}})));
    let events = ask(&garbage, true).await.events("\n\n");
    assert!(serde_json::from_str::<Value>(&events[1].1).is_ok());
    assert!(serde_json::from_str::<Value>(&events[2].1).is_err());
    assert_eq!(events.last().unwrap().1, "[DONE]", "the stream goes on behind it");
    assert!(serde_json::from_slice::<Value>(&ask(&garbage, false).await.body).is_err());

    let server = Server::with(always(json!({"stream_error": {"after_events": 2, "status": 529}})));
    let events = ask(&server, true).await.data("\n\n");
    assert_eq!((events.len(), &events[2]["error"]["type"]), (3, &json!("server_error")));
    assert!(ask(&server, false).await.json()["error"].is_object());
    let message = json!({"model": "m", "max_tokens": 99, "stream": true, "messages": body(true)["messages"]});
    let headers = [("anthropic-version", "2023-06-01")];
    let anthropic = server.send("POST", "/v1/messages", &headers, message.to_string()).await;
    let (name, data) = anthropic.events("\n\n").pop().unwrap();
    assert_eq!((anthropic.status, name.as_str()), (200, "error"));
    assert!(data.contains("overloaded_error"));
    let responses = json!({"model": "m", "input": "x", "stream": true});
    let responses = server.post("/v1/responses", &responses).await.data("\n\n");
    assert_eq!((&responses[2]["type"], &responses[3]["type"]), (&json!("error"), &json!("response.failed")));
}

#[tokio::test]
async fn silence_lasts_until_the_client_goes() {
    let patience = Duration::from_millis(100);
    let silent = Server::with(always(json!("never_answers")));
    assert!(timeout(patience, ask(&silent, false)).await.is_err());
    let stalled = Server::with(always(json!({"stall": {"after_events": 3}})));
    stalled.leave_after(CHAT, body(true).to_string(), "\n\n", 3).await;
    loop {
        let bill = &stalled.stats().await["keys"]["none"]["m"];
        if bill["left"] == 1 {
            assert_eq!((&bill["left_output_tokens"], &bill["output_tokens"]), (&json!(2), &json!(2)));
            break;
        }
        tokio::task::yield_now().await;
    }
    let gone = Server::with(always(json!("disconnect")));
    assert!(ask(&gone, false).await.cut);
    let slow = Server::with(always(json!({"slow_first_token": {"ms": 150}})));
    assert!(timeout(patience, ask(&slow, true)).await.is_err());
    assert!(ask(&slow, true).await.text().ends_with("[DONE]\n\n"));
}
