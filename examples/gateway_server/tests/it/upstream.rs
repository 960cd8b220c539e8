//! The server before a provider that the test plays itself, byte by byte.

use std::time::Duration;

use futures::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::client::{hello_with, http, openai, post, typed};
use crate::server::{KEY, PATIENCE, Server, config};

const CHAT: &str = "/v1/chat/completions";
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const CHUNK: &str =
    "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n";

/// More than what the sockets between hold, and less than what a server that reads ahead would take.
const MOST_BYTES_AHEAD: usize = 64 << 20;

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call_at_the_provider() {
    for stream in [true, false] {
        let (server, provider) = with_provider().await;
        let client = tokio::spawn(ask(&server, stream).send());
        let mut call = called(&provider).await;
        if stream {
            call.write_all(format!("{STREAM}{CHUNK}").as_bytes()).await.unwrap();
            let response = client.await.unwrap().unwrap();
            assert_eq!(response.status(), 200);
            drop(response);
        } else {
            client.abort();
        }
        let mut rest = [0; 64];
        let read = timeout(PATIENCE, call.read(&mut rest)).await.expect("the call ends");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

#[tokio::test]
async fn a_provider_that_is_faster_than_the_client_waits_for_it() {
    let (server, provider) = with_provider().await;
    let client = tokio::spawn(ask(&server, true).send());
    let mut call = called(&provider).await;
    call.write_all(STREAM.as_bytes()).await.unwrap();
    let chunks = CHUNK.repeat(1_000);
    let mut written = 0;
    // It waits where nothing of a thousand chunks is taken for a while.
    while timeout(Duration::from_millis(500), call.write_all(chunks.as_bytes())).await.is_ok() {
        written += chunks.len();
        assert!(written < MOST_BYTES_AHEAD, "the server reads ahead of its client");
    }
    drop(client.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_provider_no_longer_than_its_time() {
    let (server, provider) = with_provider_and("[limits]\nstall_timeout_ms = 3600000").await;
    let client = tokio::spawn(ask(&server, true).header("x-request-timeout-ms", "3000").send());
    let mut call = called(&provider).await;
    call.write_all(STREAM.as_bytes()).await.unwrap();
    let chunks = CHUNK.repeat(1_000);
    let refused = async { while call.write_all(chunks.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("the call at the provider ends");
    drop(client.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_tool_call_comes_to_the_client_as_the_provider_sends_it() {
    let (server, provider) = with_provider().await;
    let client = openai(&server, KEY);
    let request = typed(hello_with(json!({"model": "large", "stream": true})));
    let asking = tokio::spawn(async move { client.chat().create_stream(request).await.unwrap() });
    let mut call = called(&provider).await;
    call.write_all(STREAM.as_bytes()).await.unwrap();
    let mut sent = async |fields: &str| {
        let call_part = format!(r#"{{"tool_calls":[{{"index":0,{fields}}}]}}"#);
        let chunk = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{call_part}}}]}}\n\n");
        call.write_all(chunk.as_bytes()).await.unwrap();
    };
    sent(r#""id":"c1","type":"function","function":{"name":"look_up","arguments":""}"#).await;
    let mut chunks = asking.await.unwrap();
    let mut next = async || loop {
        let chunk = timeout(PATIENCE, chunks.next()).await.expect("a chunk").unwrap().unwrap();
        if let Some(calls) = chunk.choices.into_iter().find_map(|choice| choice.delta.tool_calls) {
            return serde_json::to_value(calls).unwrap();
        }
    };
    let function = json!({"name": "look_up", "arguments": ""});
    assert_eq!(next().await, json!([{"index": 0, "id": "c1", "type": "function", "function": function}]));
    for (fragment, shown) in [(r#"{\"x\""#, r#"{"x""#), (":1}", ":1}")] {
        sent(&format!(r#""function":{{"arguments":"{fragment}"}}"#)).await;
        let call = next().await;
        assert_eq!((&call[0]["index"], &call[0]["function"]["arguments"]), (&json!(0), &json!(shown)));
    }
}

#[tokio::test]
async fn what_a_provider_says_of_our_key_stays_here() {
    let (server, provider) = with_provider().await;
    let refusal = tokio::spawn(async move {
        let body =
            r#"{"error":{"message":"Incorrect API key provided: sk-upstream.","code":"invalid_api_key"}}"#;
        loop {
            let mut call = called(&provider).await;
            let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            call.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let (status, body) = post(&server, CHAT, &hello_with(json!({"model": "large"}))).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")));
    assert!(!body.to_string().contains("upstream"), "{body}");
    assert!(!server.log().contains("sk-upstream"), "{}", server.log());
    refusal.abort();
}

/// A server whose model `large` is at a provider that the test plays.
async fn with_provider() -> (Server, TcpListener) {
    with_provider_and("").await
}

/// The same, with `limits` in the server's file.
async fn with_provider_and(limits: &str) -> (Server, TcpListener) {
    let provider = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = provider.local_addr().unwrap();
    let gateway = format!(
        "[pools.p.keys.one]\n[pools.p.provider]\nkind = \"openai\"\nbase_url = \"http://{address}/v1\"\n\
         [models.large]\ntargets = [{{ pool = \"p\", model = \"m\" }}]\n"
    );
    (Server::with_files(&config(limits), &gateway, &[]), provider)
}

fn ask(server: &Server, stream: bool) -> reqwest::RequestBuilder {
    let body = hello_with(json!({"model": "large", "stream": stream}));
    http().post(server.url(CHAT)).bearer_auth(KEY).json(&body)
}

/// The next call at the provider, its request read.
async fn called(provider: &TcpListener) -> TcpStream {
    let accepting = timeout(PATIENCE, provider.accept()).await.expect("the provider is called");
    let mut call = accepting.unwrap().0;
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut bytes = [0; 4096];
        let read = call.read(&mut bytes).await.unwrap();
        request.extend_from_slice(&bytes[..read]);
    }
    call
}
