//! Servers of a test's own, which it may stop as it likes.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agentscale_core::testkit::TestServer;
use tempfile::TempDir;

/// Whoever nobody is: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

/// A server in a temporary folder, ended with this.
pub(crate) struct OwnServer {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl OwnServer {
    /// `None` where tests run without servers, or its programs are not found, which is said.
    pub(crate) fn start() -> Option<Self> {
        TestServer::Postgres.url()?;
        let Some(programs) = programs() else {
            eprintln!("left out: no initdb and pg_ctl to start a server with");
            return None;
        };
        Some(Self::start_in(tempfile::tempdir().expect("a folder is made"), programs))
    }

    pub(super) fn start_in(folder: TempDir, programs: PathBuf) -> Self {
        give_away(folder.path());
        let server = Self { folder, programs, port: free_port() };
        server.run("initdb", &["-D", &server.data(), "-U", "postgres", "-A", "trust", "--wal-segsize=1"]);
        server.control(&["start"]);
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// `fast` ends connections first; `immediate` is a crash.
    pub(crate) fn stop(&self, mode: &str) {
        self.control(&["stop", "-m", mode]);
    }

    pub(crate) fn begin(&self) {
        self.control(&["start"]);
    }

    fn control(&self, words: &[&str]) {
        let settings = format!("-p {} -c listen_addresses=127.0.0.1 -k {}", self.port, self.path().display());
        let log = format!("{}/log", self.path().display());
        let data = self.data();
        let mut all = vec!["-D", &data, "-w", "-l", &log, "-o", &settings];
        all.extend(words);
        self.run("pg_ctl", &all);
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&self) -> bool {
        !self.command("pg_ctl").args(["-D", &self.data(), "status"]).status().expect("pg_ctl runs").success()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = as_nobody(&self.programs.join(program));
        command.current_dir(self.path()).stdout(Stdio::null());
        command
    }

    fn run(&self, program: &str, words: &[&str]) {
        let done = self.command(program).args(words).status();
        assert!(done.expect("the program runs").success(), "{words:?}");
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> String {
        format!("{}/data", self.path().display())
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // It may be stopped already.
        let data = self.data();
        let mut command = self.command("pg_ctl");
        let _ = command.args(["-D", &data, "-m", "immediate", "stop"]).stderr(Stdio::null()).status();
    }
}

/// A PgBouncer before such a server, pooling by transaction.
pub(super) struct OwnPooler {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl OwnPooler {
    pub(super) fn before(server: &OwnServer) -> Self {
        let folder = tempfile::tempdir().expect("a folder is made");
        let port = free_port();
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\n",
            server.port
        );
        std::fs::write(folder.path().join("pooler.ini"), text).expect("the folder is written");
        give_away(folder.path());
        let process = Self::process(folder.path(), port);
        Self { folder, port, process }
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    pub(super) fn begin(&mut self) {
        self.process = Self::process(self.folder.path(), self.port);
    }

    /// Returns once it listens.
    fn process(folder: &Path, port: u16) -> Child {
        let places = ["/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let program = places.iter().map(Path::new).find(|place| place.exists());
        let mut command = as_nobody(program.unwrap_or(Path::new("pgbouncer")));
        command.arg("-q").arg(folder.join("pooler.ini")).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("PgBouncer is installed where PostgreSQL is tested");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "PgBouncer does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    }
}

impl Drop for OwnPooler {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs").stdout;
    id.starts_with(b"0")
}

/// Neither server runs as root.
fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
    command.arg(program);
    command
}

fn give_away(folder: &Path) {
    if is_root() {
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).expect("root gives a folder away");
    }
}

fn free_port() -> u16 {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.expect("a port is free").port()
}

/// The folder of the newest server that is installed.
pub(super) fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = installed.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
}
