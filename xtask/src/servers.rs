//! Real servers for the tests: those that the environment names, else servers of our own.
//!
//! Servers of our own listen on free ports of 127.0.0.1, keep their files in one temporary folder and end with this
//! process: at its end, when it panics, when it is interrupted, and on Linux when it is killed.

mod binary;
mod folder;
mod nats;
mod pgbouncer;
mod port;
mod postgres;
mod process;
mod redis;
mod running;
mod user;

use std::process::Command;
use std::time::Instant;

use crate::Result;
use running::Running;

/// The variables that tests find their servers in. `agentscale_core::testkit::TestServer` reads them.
const POSTGRES: &str = "AGENTSCALE_TEST_POSTGRES_URL";
const PGBOUNCER: &str = "AGENTSCALE_TEST_PGBOUNCER_URL";
/// A PgBouncer that keeps prepared statements; those before 1.21 cannot.
const PGBOUNCER_PREPARED: &str = "AGENTSCALE_TEST_PGBOUNCER_PREPARED_URL";
const REDIS: &str = "AGENTSCALE_TEST_REDIS_URL";
const NATS: &str = "AGENTSCALE_TEST_NATS_URL";
/// Makes a missing server a failure.
const REQUIRED: (&str, &str) = ("AGENTSCALE_TEST_REQUIRE_SERVERS", "1");

/// Servers that tests can use while this lives.
pub(crate) struct Servers {
    variables: Vec<(&'static str, String)>,
    notes: Vec<String>,
    /// Stops them when it is dropped; `None` where none is ours.
    running: Option<Running>,
}

impl Servers {
    /// Uses what the environment names and starts the rest, which is installed first where that is allowed.
    ///
    /// # Errors
    /// What is missing, by name, and how to get it; what a server said that did not start.
    pub(crate) fn up() -> Result<Self> {
        let begun = Instant::now();
        let given = [POSTGRES, PGBOUNCER, PGBOUNCER_PREPARED, REDIS, NATS]
            .into_iter()
            .filter_map(|name| Some((name, std::env::var(name).ok().filter(|url| !url.is_empty())?)))
            .collect();
        let mut servers = Self { variables: given, notes: Vec::new(), running: None };
        let (postgres, redis, nats) = (servers.wants_postgres()?, !servers.has(REDIS), !servers.has(NATS));
        if !postgres && !redis && !nats {
            servers.notes.push("all named by the environment".into());
            return Ok(servers);
        }
        let mut wanted = Vec::new();
        if postgres {
            wanted.extend([&postgres::BINARY, &pgbouncer::BINARY]);
        }
        if redis {
            wanted.push(&redis::BINARY);
        }
        if nats {
            wanted.push(&nats::BINARY);
        }
        binary::install_missing(&wanted)?;
        let running = servers.running.insert(Running::new()?);
        let mut started = Vec::new();
        if postgres {
            started.extend(start_postgres(running)?);
        }
        if redis {
            let redis = redis::start(running)?;
            started.push((REDIS, format!("Redis {}", redis.version), redis.url));
        }
        if nats {
            let nats = nats::start(running)?;
            started.push((NATS, format!("NATS {}", nats.version), nats.url));
        }
        for (variable, note, url) in started {
            servers.variables.push((variable, url));
            servers.notes.push(note);
        }
        if postgres && !servers.has(PGBOUNCER_PREPARED) {
            servers.notes.push("left out: a PgBouncer that keeps prepared statements, from 1.21 on".into());
        }
        servers.notes.push(format!("ready after {:.1} s", begun.elapsed().as_secs_f64()));
        Ok(servers)
    }

    /// What to put into the environment of tests.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let urls = self.variables.iter().map(|(name, url)| (*name, url.as_str()));
        urls.chain([REQUIRED])
    }

    /// What was started, a line each.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A PgBouncer of our own stands before a PostgreSQL of our own, so that both are given or neither.
    fn wants_postgres(&self) -> Result<bool> {
        match (self.has(POSTGRES), self.has(PGBOUNCER)) {
            (false, false) => Ok(true),
            (true, true) => Ok(false),
            (true, false) => Err(format!("{POSTGRES} is set, and {PGBOUNCER} before it is missing").into()),
            (false, true) => Err(format!("{PGBOUNCER} is set, and {POSTGRES} behind it is missing").into()),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.variables.iter().any(|(set, _)| *set == name)
    }
}

/// PostgreSQL and the PgBouncers before it: the variable, what was started, and where.
fn start_postgres(running: &Running) -> Result<Vec<(&'static str, String, String)>> {
    let postgres = postgres::start(running)?;
    let pgbouncer = pgbouncer::start(running, &postgres, pgbouncer::Prepared::Refused)?;
    let mut started = Vec::new();
    if pgbouncer::keeps_prepared_statements(&pgbouncer.version) {
        let prepared = pgbouncer::start(running, &postgres, pgbouncer::Prepared::Kept)?;
        let note = format!("PgBouncer {} that keeps prepared statements", prepared.version);
        started.push((PGBOUNCER_PREPARED, note, prepared.url));
    }
    started.push((PGBOUNCER, format!("PgBouncer {}", pgbouncer.version), pgbouncer.url));
    started.push((POSTGRES, format!("PostgreSQL {}", postgres.version), postgres.url));
    Ok(started)
}

/// A server that answers.
struct Server {
    url: String,
    port: u16,
    password: String,
    version: String,
}

/// Known to nobody else on this machine.
fn password() -> String {
    let mut random = fastrand::Rng::new();
    (0..32).map(|_| random.alphanumeric()).collect()
}

/// `cargo xtask servers -- COMMAND`: one command with the servers in its environment.
///
/// # Errors
/// Those of [`Servers::up`], and the command's own failure.
pub(crate) fn run(command: &[&str]) -> Result {
    let [program, arguments @ ..] = command else { return Err("servers needs `-- COMMAND`".into()) };
    let servers = Servers::up()?;
    for note in servers.notes() {
        eprintln!("    {note}");
    }
    for (name, value) in servers.variables() {
        eprintln!("    {name}={value}");
    }
    let status = Command::new(program)
        .args(arguments)
        .envs(servers.variables())
        .status()
        .map_err(|error| format!("cannot start `{program}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", command.join(" ")).into()) }
}
