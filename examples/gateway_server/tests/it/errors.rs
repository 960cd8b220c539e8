use async_openai::error::OpenAIError;
use futures::StreamExt;
use serde_json::json;

use crate::client::{answer, hello, hello_with, http, openai, post, typed};
use crate::server::{KEY, NARROW_KEY, Server};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn without_a_key_nothing_is_answered() {
    let server = Server::start("");
    for path in ["/v1/chat/completions", "/v1/embeddings"] {
        let (status, body) = answer(http().post(server.url(path)).json(&hello())).await;
        assert_eq!((status, &body["error"]["type"]), (401, &json!("invalid_request_error")), "{path}");
    }
    let (status, _) = answer(http().get(server.url("/v1/models"))).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_wrong_key_is_told_as_openai_tells_it() {
    let server = Server::start("");
    for key in ["sk-test-012345678", "sk-test-01234567890", "demo", "Bearer", "ä"] {
        let client = http().get(server.url("/v1/models"));
        let (status, body) = answer(client.header("authorization", format!("Bearer {key}"))).await;
        assert_eq!(status, 401, "{key}");
        assert!(!body.to_string().contains("0123"), "the key stands in the answer: {body}");
    }
    let error = openai(&server, "sk-wrong").chat().create(typed(hello())).await.unwrap_err();
    let OpenAIError::ApiError(error) = error else { panic!("no error of the API: {error}") };
    assert_eq!(error.api_error.code.as_deref(), Some("invalid_api_key"));
}

#[tokio::test]
async fn a_tenant_named_in_a_header_counts_for_nothing() {
    let server = Server::start("");
    let request = http().post(server.url(CHAT)).bearer_auth(NARROW_KEY).json(&hello());
    let (status, _) = answer(request.header("x-tenant", "acme").header("x-tenant-id", "acme")).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_model_that_is_not_the_callers_is_as_unknown_as_one_that_is_nobodys() {
    let server = Server::start("");
    let ask = |key, model| {
        let body = hello_with(json!({"model": model}));
        answer(http().post(server.url(CHAT)).bearer_auth(key).json(&body))
    };
    for (key, model) in [(KEY, "nobodys"), (NARROW_KEY, "simulated"), (NARROW_KEY, "other")] {
        let (status, body) = ask(key, model).await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("model_not_found")), "{key} {model}");
    }
}

#[tokio::test]
async fn a_priority_beyond_the_keys_is_refused() {
    let server = Server::start("");
    let ask = |key, priority: &'static str| {
        let body = hello_with(json!({"model": "other"}));
        answer(http().post(server.url(CHAT)).bearer_auth(key).header("x-priority", priority).json(&body))
    };
    assert_eq!(ask(NARROW_KEY, "incident").await.0, 403);
    assert_eq!(ask(NARROW_KEY, "evaluation").await.0, 404);
    assert_eq!(ask(KEY, "very").await.0, 400);
}

#[tokio::test]
async fn malformed_bodies_are_refused_without_harm() {
    let server = Server::start("");
    let bodies: [&[u8]; 10] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{\"model\":1}",
        b"{\"model\":\"simulated\",\"messages\":\"hi\"}",
        b"{\"model\":\"simulated\",\"messages\":[{\"role\":\"user\",\"content\":7}]}",
        b"{\"model\":\"simulated\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":-1}",
        b"\xff\xfe",
        &[b'['; 100_000],
    ];
    for body in bodies {
        let (status, answer) =
            answer(http().post(server.url(CHAT)).bearer_auth(KEY).body(body.to_vec())).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!((status, &answer["error"]["type"]), (400, &json!("invalid_request_error")), "{shown}");
    }
    assert_eq!(post(&server, CHAT, &hello()).await.0, 200);
}

#[tokio::test]
async fn a_field_of_another_type_is_named() {
    let server = Server::start("");
    let messages = json!([{"role": "user", "content": "x"}, {"role": "user", "content": 7}]);
    for (fields, param) in [
        (json!({"max_tokens": 1.5}), "max_tokens"),
        (json!({"stream": "yes"}), "stream"),
        (json!({"messages": messages}), "messages[1].content"),
        (json!({"stream_options": {"include_usage": 1}}), "stream_options.include_usage"),
    ] {
        let (status, body) = post(&server, CHAT, &hello_with(fields)).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!(param)), "{body}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_such() {
    let server = Server::start("");
    let request = http().post(server.url(CHAT)).bearer_auth(KEY).header("content-encoding", "gzip");
    let (status, body) = answer(request.body(b"\x1f\x8b".to_vec())).await;
    assert_eq!((status, &body["error"]["param"]), (415, &json!("content-encoding")));
    let request = http().post(server.url(CHAT)).bearer_auth(KEY).header("content-encoding", "identity");
    assert_eq!(answer(request.json(&hello())).await.0, 200);
}

#[tokio::test]
async fn a_path_that_is_no_text_is_refused_as_json() {
    let server = Server::start("");
    let request = http().get(server.url("/v1/models/%ff%fe")).bearer_auth(KEY);
    let (status, body) = answer(request).await;
    assert_eq!((status, &body["error"]["type"]), (400, &json!("invalid_request_error")));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_too_large() {
    let server = Server::start("[limits]\nmax_body_bytes = 1000");
    let body = hello_with(json!({"padding": "x".repeat(2000)}));
    assert_eq!(post(&server, CHAT, &body).await.0, 413);
    assert_eq!(post(&server, CHAT, &hello()).await.0, 200);
}

#[tokio::test]
async fn a_request_beyond_the_context_window_is_refused_as_openai_does() {
    let server = Server::start("[simulator]\ncontext_window = 50");
    let long = json!({"messages": [{"role": "user", "content": "word ".repeat(1000)}]});
    let (status, body) = post(&server, CHAT, &hello_with(long)).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("context_length_exceeded")));
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_the_caller_waits_ends_in_time() {
    let server = Server::start("[simulator]\nhanging_calls = [0]");
    let request = http().post(server.url(CHAT)).bearer_auth(KEY).header("x-request-timeout-ms", "300");
    let (status, body) = answer(request.json(&hello())).await;
    assert_eq!((status, &body["error"]["code"]), (504, &json!("deadline_exceeded")));
    server.metric_is("gateway_server_calls", 0.0).await;
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    let server = Server::start("");
    for millis in ["soon", "-1", "0"] {
        let request = http().post(server.url(CHAT)).bearer_auth(KEY).header("x-request-timeout-ms", millis);
        assert_eq!(answer(request.json(&hello())).await.0, 400, "{millis}");
    }
}

#[tokio::test]
async fn a_limit_of_the_provider_is_told_with_the_time_to_wait() {
    let server = Server::start("[simulator]\nerrors = [{ kind = \"rate_limited\", rate = 1.0 }]");
    let request = http().post(server.url(CHAT)).bearer_auth(KEY).header("x-request-timeout-ms", "2000");
    let response = request.json(&hello()).send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["x-should-retry"], "true");
}

#[tokio::test]
async fn a_provider_that_fails_is_told_without_its_name() {
    let server = Server::start("[simulator]\nerrors = [{ kind = \"unauthenticated\", rate = 1.0 }]");
    let (status, body) = post(&server, CHAT, &hello()).await;
    assert!(status >= 500, "a key of the server's own is not the caller's: {status}");
    assert!(!body.to_string().contains("simulator"), "{body}");
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error_and_never_with_done() {
    let server = Server::start("[simulator]\nbreak_rate = 1.0\nmin_output_tokens = 40\nseed = 3");
    let body = hello_with(json!({"stream": true}));
    let response = http().post(server.url(CHAT)).bearer_auth(KEY).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    assert!(text.contains(r#""code":"unavailable""#), "{text}");
    assert!(!text.contains("[DONE]"));
    let log = server.log();
    let told = log.lines().any(|line| line.contains("broke off") && line.contains(&id));
    assert!(told, "the log does not say whose stream broke off: {log}");

    let mut stream = openai(&server, KEY).chat().create_stream(typed(body)).await.unwrap();
    let mut failed = false;
    while let Some(chunk) = stream.next().await {
        failed |= chunk.is_err();
    }
    assert!(failed, "the client saw no error");
}

#[tokio::test]
async fn the_log_holds_no_key_and_no_prompt() {
    let server = Server::start("[simulator]\nerrors = [{ kind = \"unavailable\", rate = 0.5 }]");
    for _ in 0..4 {
        let body = hello_with(json!({"messages": [{"role": "user", "content": "my secret wish"}]}));
        post(&server, CHAT, &body).await;
    }
    let log = server.log();
    assert!(log.contains("/v1/chat/completions"), "{log}");
    assert!(!log.contains(KEY) && !log.contains("secret wish"), "{log}");
}
