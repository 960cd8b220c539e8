//! A Redis of a test's own, which it may kill.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use agentscale_core::testkit::TestServer;

/// Keeps nothing on disk; killed with this.
pub(crate) struct OwnRedis {
    port: u16,
    server: Mutex<Child>,
}

impl OwnRedis {
    /// `None` where tests run without servers, or its program is not found, which is said.
    pub(crate) fn start() -> Option<Self> {
        TestServer::Redis.url()?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a port is free").port();
        match begin(port) {
            Some(server) => Some(Self { port, server: Mutex::new(server) }),
            None => {
                eprintln!("left out: no redis-server to start");
                None
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill(&self) {
        let mut server = self.server.lock().expect("no test panics here");
        server.kill().expect("it runs");
        server.wait().expect("it ends");
    }

    /// Empty, as nothing was kept.
    pub(crate) fn begin(&self) {
        *self.server.lock().expect("no test panics here") = begin(self.port).expect("it ran before");
    }
}

fn begin(port: u16) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    let server = command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    for _ in 0..1_000 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(server);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("redis-server does not listen");
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        // It may be killed already.
        let _ = server.kill();
        let _ = server.wait();
    }
}
