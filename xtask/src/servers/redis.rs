//! Redis, which keeps nothing on disk.

use super::binary::Binary;
use super::port;
use super::running::{Plan, Running};
use super::{Server, password};
use crate::Result;

pub(super) const BINARY: Binary = Binary {
    name: "redis-server",
    title: "Redis",
    package: "redis-server",
    places: &["/usr/bin", "/usr/local/bin"],
    oldest: 7,
};

pub(super) fn start(running: &Running) -> Result<Server> {
    let found = BINARY.find()?;
    let password = password();
    let folder = running.folder()?;
    let command = |port: u16| {
        let text = format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\ndir {}\n",
            folder.display()
        );
        let mut command = running.command(&found.path, "TERM");
        command.arg(running.write("redis.conf", &text)?);
        Ok(command)
    };
    let question = format!("AUTH {password}\r\n");
    let answers =
        |port: u16| port::ask(port, question.as_bytes()).is_some_and(|said| said.starts_with(b"+OK"));
    let plan = Plan { name: "redis", stop: "-TERM", command: &command, answers: &answers };
    let port = running.start(&plan)?;
    Ok(Server {
        url: format!("redis://default:{password}@127.0.0.1:{port}"),
        port,
        password,
        version: found.version,
    })
}
