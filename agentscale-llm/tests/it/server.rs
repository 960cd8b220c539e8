//! An HTTP server on loopback that answers as a script says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: serde_json::Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    Bytes(Vec<u8>),
    /// Goes silent until the client has gone away.
    Hang,
    /// Drops the connection in the middle of the body.
    Cut,
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) parts: Vec<Part>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::of(status, "application/json", body)
    }

    pub(crate) fn sse(body: &str) -> Self {
        Self::of(200, "text/event-stream", body)
    }

    pub(crate) fn of(status: u16, kind: &str, body: &str) -> Self {
        let headers = vec![("content-type", kind.to_owned())];
        Self { status, headers, parts: vec![Part::Bytes(body.as_bytes().to_vec())] }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn then(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }
}

type Handler = dyn Fn(&Recorded) -> Reply + Send + Sync;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Recorded>>>,
    connections: Arc<AtomicUsize>,
    gone: mpsc::UnboundedReceiver<()>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(handler: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (tell_gone, gone) = mpsc::unbounded_channel();
        let (handler, seen): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&requests));
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(socket, Arc::clone(&handler), Arc::clone(&seen), tell_gone.clone()));
            }
        });
        Self { url, requests, connections, gone, accepting }
    }

    pub(crate) async fn replying(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// Serves until the runtime ends.
    pub(crate) fn detach(self) -> String {
        let url = self.url.clone();
        std::mem::forget(self);
        url
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Waits until a client has left a hanging answer.
    pub(crate) async fn client_gone(&mut self) {
        tokio::time::timeout(Duration::from_secs(5), self.gone.recv()).await.unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut socket: TcpStream,
    handler: Arc<Handler>,
    seen: Arc<Mutex<Vec<Recorded>>>,
    gone: mpsc::UnboundedSender<()>,
) {
    while let Some(request) = read_request(&mut socket).await {
        let reply = handler(&request);
        seen.lock().unwrap().push(request);
        if !write_reply(&mut socket, reply, &gone).await {
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<Recorded> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    while bytes.len() < head_end + length.unwrap_or(0) {
        socket.read_buf(&mut bytes).await.ok()?;
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let body = serde_json::from_slice(&bytes[head_end..]).unwrap_or_default();
    Some(Recorded { path, head, body })
}

async fn write_reply(socket: &mut TcpStream, reply: Reply, gone: &mpsc::UnboundedSender<()>) -> bool {
    let mut head = format!("HTTP/1.1 {} Status\r\ntransfer-encoding: chunked\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    if socket.write_all(head.as_bytes()).await.is_err() {
        return false;
    }
    for part in reply.parts {
        match part {
            Part::Bytes(bytes) if bytes.is_empty() => {}
            Part::Bytes(bytes) => {
                let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat();
                if socket.write_all(&chunk).await.is_err() {
                    return false;
                }
            }
            Part::Hang => {
                while socket.read_buf(&mut Vec::new()).await.is_ok_and(|read| read > 0) {}
                gone.send(()).ok();
                return false;
            }
            Part::Cut => return false,
        }
    }
    socket.write_all(b"0\r\n\r\n").await.is_ok()
}
