//! PostgreSQL.

use super::binary::Binary;
use super::port;
use super::running::{Plan, Running};
use super::{Server, password};
use crate::Result;

pub(super) const BINARY: Binary = Binary {
    name: "postgres",
    title: "PostgreSQL",
    package: "postgresql",
    places: &[
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/usr/lib/postgresql*/bin",
        "/usr/local/pgsql/bin",
    ],
    oldest: 15,
};

/// Many suites use it at once.
const CONNECTIONS: u32 = 400;

/// A new cluster. It syncs what it acknowledges, as suites about durability need it.
pub(super) fn start(running: &Running) -> Result<Server> {
    let found = BINARY.find()?;
    let password = password();
    let folder = running.folder()?;
    let data = folder.join("postgres");
    let secret = running.write("postgres.password", &password)?;
    let made = running
        .command(&found.path.with_file_name("initdb"), "TERM")
        // The new files need no sync: before the first write of a test the server makes a checkpoint at its start.
        .args([
            "--username",
            "postgres",
            "--auth",
            "password",
            "--encoding",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ])
        .arg("--pwfile")
        .arg(&secret)
        .arg("--pgdata")
        .arg(&data)
        .output()
        .map_err(|error| format!("cannot start initdb beside {}: {error}", found.path.display()))?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr);
        return Err(format!("initdb failed ({}): {}", made.status, said.trim()).into());
    }
    let command = |port: u16| {
        let mut command = running.command(&found.path, "INT");
        command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        for setting in [
            "unix_socket_directories=",
            &format!("max_connections={CONNECTIONS}"),
            "timezone=UTC",
            "fsync=on",
            "synchronous_commit=on",
        ] {
            command.args(["-c", setting]);
        }
        Ok(command)
    };
    let plan = Plan { name: "postgres", stop: "-INT", command: &command, answers: &port::speaks_postgres };
    let port = running.start(&plan)?;
    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
    Ok(Server { url, port, password, version: found.version })
}
