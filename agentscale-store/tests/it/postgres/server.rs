//! A server of a test's own, which it may stop as it likes.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
        let folder = tempfile::tempdir().expect("a folder is made");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a port is free").port();
        let server = Self { folder, programs, port };
        if is_root() {
            std::os::unix::fs::chown(server.folder.path(), Some(NOBODY), Some(NOBODY))
                .expect("root gives a folder away");
        }
        server.run("initdb", &["-D", &server.data(), "-U", "postgres", "-A", "trust"]);
        server.control(&["start"]);
        Some(server)
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

    fn run(&self, program: &str, words: &[&str]) {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        let done = command.args(words).current_dir(self.path()).stdout(Stdio::null()).status();
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
        let program = self.programs.join("pg_ctl");
        let mut command = Command::new(if is_root() { Path::new("setpriv") } else { &program });
        if is_root() {
            command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
            command.arg(&program);
        }
        let words = ["-D", &data, "-m", "immediate", "stop"];
        let _ = command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs").stdout;
    id.starts_with(b"0")
}

/// The folder of the newest server that is installed.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = installed.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
}
