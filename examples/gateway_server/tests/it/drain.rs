use futures::StreamExt;
use serde_json::json;

use crate::client::{hello, hello_with, http};
use crate::server::{KEY, Server};

const CALLS: &str = "gateway_server_calls";

#[tokio::test]
async fn an_open_stream_ends_whole_and_nothing_new_begins() {
    let mut server =
        Server::start("[simulator]\ntoken_us = 20000\nmin_output_tokens = 50\nmax_output_tokens = 50");
    let mut stream = stream(&server).await;
    let mut text = first(&mut stream).await;
    server.terminate();
    while let Some(part) = stream.next().await {
        text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(http().get(server.url("/healthz")).send().await.is_err(), "it still listens");
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut_with_an_error() {
    let mut server = Server::start(
        "drain_timeout_ms = 200\n[simulator]\ntoken_us = 50000\nmin_output_tokens = 10000\nmax_output_tokens = 10000",
    );
    let mut stream = stream(&server).await;
    let mut text = first(&mut stream).await;
    server.terminate();
    while let Some(part) = stream.next().await {
        text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
    }
    assert!(text.contains("server_draining"), "{text}");
    assert!(!text.contains("[DONE]"));
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_whole_answer_that_outlasts_the_drain_is_refused_for_another_server() {
    let mut server = Server::start("drain_timeout_ms = 200\n[simulator]\nhanging_calls = [0]");
    let request = http().post(server.url("/v1/chat/completions")).bearer_auth(KEY).json(&hello());
    let answer = tokio::spawn(request.send());
    server.metric_is(CALLS, 1.0).await;
    server.terminate();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-should-retry"], "true");
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_server_that_drains_is_not_ready_and_answers_until_the_balancer_knows() {
    let mut server = Server::start("drain_delay_ms = 1500");
    server.terminate();
    let not_ready =
        async { while http().get(server.url("/readyz")).send().await.unwrap().status() != 503 {} };
    tokio::time::timeout(crate::server::PATIENCE, not_ready).await.unwrap();
    let request = http().post(server.url("/v1/chat/completions")).bearer_auth(KEY).json(&hello());
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_connection_that_is_idle_holds_nothing_up() {
    let mut server = Server::start("drain_timeout_ms = 3600000");
    let client = http();
    client.get(server.url("/healthz")).send().await.unwrap().text().await.unwrap();
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    drop(client);
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_holds_nothing_up() {
    use tokio::io::AsyncWriteExt;
    let mut server = Server::start("drain_timeout_ms = 3600000\n[limits]\nheader_timeout_ms = 3600000");
    let mut slow = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    slow.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    server.metric_is("gateway_server_connections", 2.0).await;
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    drop(slow);
}

type Parts = futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>;

async fn stream(server: &Server) -> Parts {
    let body = hello_with(json!({"stream": true, "max_tokens": 10000}));
    let request = http().post(server.url("/v1/chat/completions")).bearer_auth(KEY).json(&body);
    request.send().await.unwrap().bytes_stream().boxed()
}

async fn first(parts: &mut Parts) -> String {
    String::from_utf8(parts.next().await.unwrap().unwrap().to_vec()).unwrap()
}
