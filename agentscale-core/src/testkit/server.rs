use std::io::Write as _;
use std::sync::Mutex;

/// Makes a server that is missing a failure.
const REQUIRED: &str = "AGENTSCALE_TEST_REQUIRE_SERVERS";

/// A real server that tests find by a URL in the environment. `cargo xtask servers -- COMMAND` of the project's
/// repository starts all of them for one command.
///
/// ```
/// use agentscale_core::testkit::TestServer;
///
/// // In a test: what needs the server is left out where there is none, and that is said.
/// let Some(url) = TestServer::Postgres.url() else { return };
/// assert!(url.starts_with("postgres"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TestServer {
    /// PostgreSQL, 15 or newer, reached directly: `AGENTSCALE_TEST_POSTGRES_URL`.
    Postgres,
    /// A PgBouncer before it that pools by transaction and keeps no prepared statements, as all before 1.21:
    /// `AGENTSCALE_TEST_PGBOUNCER_URL`.
    PgBouncer,
    /// One that keeps prepared statements: `AGENTSCALE_TEST_PGBOUNCER_PREPARED_URL`. It is missed by nobody, because
    /// distributions have older ones.
    PreparedPgBouncer,
    /// Redis, 7 or newer: `AGENTSCALE_TEST_REDIS_URL`.
    Redis,
    /// NATS with JetStream, 2.9 or newer: `AGENTSCALE_TEST_NATS_URL`.
    Nats,
}

impl TestServer {
    /// The variable that names it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "AGENTSCALE_TEST_POSTGRES_URL",
            Self::PgBouncer => "AGENTSCALE_TEST_PGBOUNCER_URL",
            Self::PreparedPgBouncer => "AGENTSCALE_TEST_PGBOUNCER_PREPARED_URL",
            Self::Redis => "AGENTSCALE_TEST_REDIS_URL",
            Self::Nats => "AGENTSCALE_TEST_NATS_URL",
        }
    }

    /// Where it is. Where nobody says so this is `None`, and standard error says once what is left out, past the
    /// capture of the test runner's own output.
    ///
    /// # Panics
    /// Where it is missing and `AGENTSCALE_TEST_REQUIRE_SERVERS` is set, as `cargo xtask test` does.
    pub fn url(self) -> Option<String> {
        let url = std::env::var(self.variable()).ok().filter(|url| !url.is_empty());
        if url.is_none() {
            let required = std::env::var_os(REQUIRED).is_some() && self != Self::PreparedPgBouncer;
            assert!(!required, "{} is not set, and {REQUIRED} is", self.variable());
            self.say_left_out();
        }
        url
    }

    fn say_left_out(self) {
        static SAID: Mutex<Vec<TestServer>> = Mutex::new(Vec::new());
        let mut said = SAID.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !said.contains(&self) {
            said.push(self);
            // Nothing is lost with a standard error that is closed.
            let _ =
                writeln!(std::io::stderr(), "left out: tests on {self:?}; {} is not set", self.variable());
        }
    }
}
