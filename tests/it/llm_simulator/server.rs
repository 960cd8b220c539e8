//! The simulator's process, and a client that shows what comes over the wire.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

/// An answer, with the parts of its body as they came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The connection ended before the body did.
    pub(crate) cut: bool,
}

pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("examples/llm_simulator");
    assert!(binary.exists(), "{} is missing: build it with `cargo build --examples`", binary.display());
    binary
}

impl Server {
    /// Answers at once, under seed 7.
    pub(crate) fn start() -> Self {
        Self::with(serde_json::json!({}))
    }

    pub(crate) fn with(fields: Value) -> Self {
        Self::seeded(7, fields)
    }

    pub(crate) fn seeded(seed: u64, fields: Value) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), super::script(fields).to_string()).unwrap();
        let script = file.path().to_str().unwrap().to_owned();
        let server = Self::run(&["--script", &script, "--seed", &seed.to_string()]);
        drop(file);
        server
    }

    pub(crate) fn run(args: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.trim().strip_prefix("listening on http://").expect("the first line").parse().unwrap();
        Self { child, address }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], String::new()).await
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("/simulator/stats").await.json()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let answer = collect(sender.send_request(self.request(method, path, headers, body)).await).await;
        driver.abort();
        answer
    }

    /// As [`send`](Self::send), over HTTP/2 with prior knowledge.
    pub(crate) async fn send_h2(&self, path: &str, body: String) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let answer = collect(sender.send_request(self.request("POST", path, &[], body)).await).await;
        driver.abort();
        answer
    }

    /// Opens a stream, reads until so many separators have come, and goes away.
    pub(crate) async fn leave_after(&self, path: &str, body: String, separator: &str, count: usize) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let response = sender.send_request(self.request("POST", path, &[], body)).await.unwrap();
        let (mut incoming, mut text) = (response.into_body(), String::new());
        while text.matches(separator).count() < count {
            let frame = incoming.frame().await.expect("more to come").unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        driver.abort();
    }

    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("host", self.address.to_string())
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::from(body)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn collect(response: hyper::Result<hyper::Response<hyper::body::Incoming>>) -> Answer {
    let Ok(response) = response else {
        return Answer { status: 0, headers: HeaderMap::new(), body: Vec::new(), cut: true };
    };
    let (head, mut incoming) = response.into_parts();
    let mut answer =
        Answer { status: head.status.as_u16(), headers: head.headers, body: Vec::new(), cut: false };
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => answer.body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => {
                answer.cut = true;
                break;
            }
        }
    }
    answer
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The names and the data of server-sent events.
    pub(crate) fn events(&self, separator: &str) -> Vec<(String, String)> {
        let text = self.text();
        assert!(text.ends_with(separator), "{text}");
        let event = |block: &str| {
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim().to_owned()).unwrap_or_default()
            };
            (field("event:"), field("data:"))
        };
        text.split(separator).filter(|block| !block.is_empty()).map(event).collect()
    }

    /// The data of events, without `[DONE]`.
    pub(crate) fn data(&self, separator: &str) -> Vec<Value> {
        let events = self.events(separator);
        let data = events.iter().filter(|(_, data)| data != "[DONE]");
        data.map(|(_, data)| serde_json::from_str(data).unwrap()).collect()
    }
}
