//! NATS with JetStream.

use super::binary::Binary;
use super::port;
use super::running::{Plan, Running};
use super::{Server, password};
use crate::Result;

pub(super) const BINARY: Binary = Binary {
    name: "nats-server",
    title: "NATS",
    package: "nats-server",
    places: &["/usr/sbin", "/usr/local/bin"],
    oldest: 2,
};

pub(super) fn start(running: &Running) -> Result<Server> {
    let found = BINARY.find()?;
    let password = password();
    let folder = running.folder()?;
    let command = |port: u16| {
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nauthorization {{ user: test, password: \"{password}\" }}\n\
             jetstream {{ store_dir: \"{}\", max_memory_store: 64MB, max_file_store: 1GB }}\n",
            folder.join("nats").display()
        );
        let mut command = running.command(&found.path, "TERM");
        command.arg("-c").arg(running.write("nats.conf", &text)?);
        Ok(command)
    };
    // A server says who it is before it is asked.
    let answers = |port: u16| port::ask(port, b"PING\r\n").is_some_and(|said| said.starts_with(b"INFO "));
    let plan = Plan { name: "nats", stop: "-TERM", command: &command, answers: &answers };
    let port = running.start(&plan)?;
    Ok(Server {
        url: format!("nats://test:{password}@127.0.0.1:{port}"),
        port,
        password,
        version: found.version,
    })
}
