//! The last words: what was used is in the ledger when the server has ended, or in its log.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::client::{hello, hello_with, http, post};
use crate::server::{KEY, Server, gateway};

const CHAT: &str = "/v1/chat/completions";
const LEDGER: &str = "ledger = \"budgets.sqlite\"\n";
const CALLS: &str = "gateway_server_calls";

#[tokio::test]
async fn told_twice_it_ends_at_once_and_what_was_cut_is_in_the_ledger() {
    let mut server = Server::start(&format!(
        "{LEDGER}drain_timeout_ms = 3600000\n[simulator]\ntoken_us = 50000\nmin_output_tokens = 10000\nmax_output_tokens = 10000"
    ));
    let body = hello_with(json!({"stream": true, "max_tokens": 10000}));
    let request = http().post(server.url(CHAT)).bearer_auth(KEY).json(&body);
    let mut stream = request.send().await.unwrap();
    stream.chunk().await.unwrap();
    server.terminate();
    server.logged("draining").await;
    server.signal("INT");
    assert_eq!(server.ended().await.code(), Some(0));
    let used = used(&server).await;
    assert_eq!((&used["calls"], &used["cut_calls"]), (&json!(0), &json!(1)), "{used}");
    drop(stream);
}

#[tokio::test]
async fn told_twice_it_waits_for_no_balancer() {
    let mut server = Server::start("drain_delay_ms = 3600000");
    server.terminate();
    server.logged("draining").await;
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_client_that_sends_its_body_slowly_does_not_outlast_the_drain() {
    use tokio::io::AsyncWriteExt;
    let mut server = Server::start("drain_timeout_ms = 200\n[limits]\nbody_timeout_ms = 3600000");
    let mut slow = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 100\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    server.metric_is("gateway_server_connections", 2.0).await;
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn what_the_ledger_does_not_write_in_time_is_told() {
    for signals in [1, 2] {
        let patience = if signals == 1 { 200 } else { 3_600_000 };
        let mut server = Server::start(&format!("{LEDGER}settle_timeout_ms = {patience}\n"));
        let file = SqliteConnectOptions::new().filename(server.file("budgets.sqlite"));
        let mut other = file.connect().await.unwrap();
        lock(&mut other).await;
        assert_eq!(post(&server, CHAT, &hello()).await.0, 200);
        server.metric_is(CALLS, 0.0).await;
        server.terminate();
        for _ in 1..signals {
            server.logged("draining").await;
            server.terminate();
        }
        assert_eq!(server.ended().await.code(), Some(1));
        let log = server.log();
        let told = log.lines().find(|line| line.contains("may not stand in the ledger")).unwrap();
        for part in ["tenant=acme", "account=ci", "model=\"simulated\"", " calls=1 "] {
            assert!(told.contains(part), "{part} is missing: {told}");
        }
        other.close().await.unwrap();
    }
}

/// Holds the file, so that nobody else writes to it.
async fn lock(file: &mut SqliteConnection) {
    sqlx::query("BEGIN IMMEDIATE").execute(file).await.unwrap();
}

/// What another server with the ledger of `ended` tells of the first day and model.
async fn used(ended: &Server) -> Value {
    let ledger = format!("ledger = {:?}\n", ended.file("budgets.sqlite"));
    let server = Server::with_files(&crate::server::config(&ledger), &gateway(""), &[]);
    let usage = http().get(server.url("/v1/usage")).bearer_auth(KEY).send().await.unwrap();
    usage.json::<Value>().await.unwrap()["data"][0].take()
}
