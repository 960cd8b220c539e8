use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{hello, hello_with, http, post};
use crate::server::{KEY, PATIENCE, Server};

const CALLS: &str = "gateway_server_calls";

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_left() {
    let server = Server::start("[limits]\nheader_timeout_ms = 200");
    let mut slow = TcpStream::connect(&server.address).await.unwrap();
    slow.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let answer = rest(&mut slow).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert_eq!(post(&server, "/v1/chat/completions", &hello()).await.0, 200);
}

#[tokio::test]
async fn a_client_that_never_ends_its_body_is_told_so() {
    let server = Server::start("[limits]\nbody_timeout_ms = 200");
    let mut slow = send(&server, "{\"model\":", 1_000).await;
    let answer = head(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_says_that_it_is_too_large_is_not_read() {
    let server = Server::start("[limits]\nmax_body_bytes = 1000");
    let mut large = send(&server, "{", 1_000_000_000).await;
    let answer = head(&mut large).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused() {
    let server = Server::start("[limits]\nmax_header_bytes = 8192");
    let request = http().get(server.url("/healthz")).header("x-padding", "x".repeat(10_000));
    assert_eq!(request.send().await.unwrap().status(), 431);
    assert_eq!(http().get(server.url("/healthz")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_no_http_harms_nobody() {
    let server = Server::start("");
    for noise in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..], b"\r\n\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[0; 4096]]
    {
        let mut client = TcpStream::connect(&server.address).await.unwrap();
        client.write_all(noise).await.unwrap();
        client.shutdown().await.unwrap();
        rest(&mut client).await;
    }
    assert_eq!(post(&server, "/v1/chat/completions", &hello()).await.0, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let server = Server::start("[limits]\nmax_connections = 1");
    let mut first = TcpStream::connect(&server.address).await.unwrap();
    // An answer shows that it has the place.
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    head(&mut first).await;
    let request = http().get(server.url("/healthz")).send();
    tokio::pin!(request);
    let early = timeout(std::time::Duration::from_millis(200), &mut request).await;
    assert!(early.is_err(), "two connections at a time");
    drop(first);
    assert_eq!(timeout(PATIENCE, request).await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_call() {
    let server = Server::start("[simulator]\nhanging_calls = [0]");
    let body = hello().to_string();
    let client = send(&server, &body, body.len()).await;
    server.metric_is(CALLS, 1.0).await;
    drop(client);
    server.metric_is(CALLS, 0.0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_within_a_stream_ends_it() {
    let server =
        Server::start("[simulator]\ntoken_us = 50000\nmin_output_tokens = 10000\nmax_output_tokens = 10000");
    let body = hello_with(json!({"stream": true, "max_tokens": 10000})).to_string();
    let mut client = send(&server, &body, body.len()).await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 "));
    server.metric_is(CALLS, 1.0).await;
    drop(client);
    server.metric_is(CALLS, 0.0).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left_after_a_while() {
    let server = Server::start(
        "[limits]\nstall_timeout_ms = 500\n[simulator]\nmin_output_tokens = 200000\nmax_output_tokens = 200000\n\
         context_window = 1000000",
    );
    let body = hello_with(json!({"stream": true, "max_tokens": 200_000})).to_string();
    let client = send(&server, &body, body.len()).await;
    server.metric_is(CALLS, 1.0).await;
    server.metric_is(CALLS, 0.0).await;
    drop(client);
}

#[tokio::test]
async fn bodies_that_find_no_room_are_told_to_come_again() {
    let server = Server::start(
        "[limits]\nmax_body_bytes = 100000\nmax_bodies_bytes = 200000\n[simulator]\nhanging_calls = [0]",
    );
    let padded = hello_with(json!({"padding": "x".repeat(90_000)}));
    let request = || http().post(server.url("/v1/chat/completions")).bearer_auth(KEY).json(&padded).send();
    let first = tokio::spawn(request());
    server.metric_is(CALLS, 1.0).await;
    let refused = request().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(
        (&refused.headers()["retry-after"], &refused.headers()["x-should-retry"]),
        (&"1".parse().unwrap(), &"true".parse().unwrap())
    );
    assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["error"]["code"], "overloaded");
    assert_eq!(post(&server, "/v1/chat/completions", &hello()).await.0, 200);
    first.abort();
    server.metric_is(CALLS, 0.0).await;
    assert_eq!(request().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_session_of_any_length_is_taken_and_one_that_is_no_text_refused() {
    let server = Server::start("");
    let with = |session: &[u8]| {
        let session = reqwest::header::HeaderValue::from_bytes(session).unwrap();
        let request = http().post(server.url("/v1/chat/completions")).bearer_auth(KEY).json(&hello());
        crate::client::answer(request.header("x-session-id", session))
    };
    assert_eq!(with(&[b'x'; 8_000]).await.0, 200);
    assert_eq!(with("Zoë".as_bytes()).await.0, 200);
    let (status, body) = with(b"\xff").await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("x-session-id")));
}

/// A connection on which a request to the chat stands, with a body that is said to have `length` bytes.
async fn send(server: &Server, body: &str, length: usize) -> TcpStream {
    let mut client = TcpStream::connect(&server.address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {length}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(body.as_bytes()).await.unwrap();
    client
}

/// What comes first.
async fn head(client: &mut TcpStream) -> String {
    let mut bytes = vec![0; 1024];
    let read = timeout(PATIENCE, client.read(&mut bytes)).await.expect("an answer").unwrap();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

/// All that comes until the server closes the connection.
async fn rest(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, client.read_to_end(&mut bytes)).await.expect("the server closes");
    // A connection that the server resets is closed too.
    drop(read);
    String::from_utf8_lossy(&bytes).into_owned()
}
