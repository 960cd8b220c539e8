//! PgBouncer before a PostgreSQL, pooling by transaction.

use super::Server;
use super::binary::{Binary, numbers};
use super::port;
use super::running::{Plan, Running};
use crate::Result;

pub(super) const BINARY: Binary = Binary {
    name: "pgbouncer",
    title: "PgBouncer",
    package: "pgbouncer",
    places: &["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin"],
    oldest: 1,
};

/// What becomes of prepared statements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prepared {
    /// As in old versions: one may be gone in the next transaction.
    Refused,
    Kept,
}

/// Whether this version can keep prepared statements over transactions.
pub(super) fn keeps_prepared_statements(version: &str) -> bool {
    numbers(version) >= (1, 21)
}

pub(super) fn start(running: &Running, postgres: &Server, prepared: Prepared) -> Result<Server> {
    let found = BINARY.find()?;
    let name = match prepared {
        Prepared::Refused => "pgbouncer",
        Prepared::Kept => "pgbouncer-prepared",
    };
    let password = &postgres.password;
    let users = running.write(&format!("{name}.users"), &format!("\"postgres\" \"{password}\"\n"))?;
    let statements = match prepared {
        Prepared::Refused if keeps_prepared_statements(&found.version) => "max_prepared_statements = 0\n",
        Prepared::Refused => "",
        Prepared::Kept => "max_prepared_statements = 200\n",
    };
    let command = |port: u16| {
        // Databases of tests come and go: their connections are given back soon. All else is as an operator finds it.
        let text = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = plain\n\
             auth_file = {}\n\
             pool_mode = transaction\n\
             max_client_conn = 1000\n\
             server_idle_timeout = 10\n\
             {statements}",
            postgres.port,
            users.display()
        );
        let mut command = running.command(&found.path, "TERM");
        command.arg("-q").arg(running.write(&format!("{name}.ini"), &text)?);
        Ok(command)
    };
    let plan = Plan { name, stop: "-TERM", command: &command, answers: &port::speaks_postgres };
    let port = running.start(&plan)?;
    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
    Ok(Server { url, port, password: password.clone(), version: found.version })
}
