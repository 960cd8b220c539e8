//! Running cargo, the one way that every chore does it.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use crate::Result;
use crate::servers::Servers;

/// One cargo command in the root of the workspace.
pub(crate) struct Cargo {
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    servers: Vec<(&'static str, String)>,
}

impl Cargo {
    /// `line` is split at spaces: no argument of a chore has one.
    pub(crate) fn new(line: &str) -> Self {
        Self {
            arguments: line.split_whitespace().map(String::from).collect(),
            environment: Vec::new(),
            servers: Vec::new(),
        }
    }

    /// Lets it find the servers, which must outlive it.
    pub(crate) fn with_servers(mut self, servers: &Servers) -> Self {
        self.servers = servers.variables().map(|(name, value)| (name, value.to_owned())).collect();
        self
    }

    pub(crate) fn with_env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Whether the subcommand is installed.
    pub(crate) fn is_installed(subcommand: &str) -> bool {
        let probe = Command::new(cargo()).args([subcommand, "--version"]).output();
        probe.is_ok_and(|output| output.status.success())
    }

    /// Runs it with the terminal of the caller.
    pub(crate) fn run(&self) -> Result {
        let status = self.command().status().map_err(|error| self.cannot_start(&error))?;
        if status.success() { Ok(()) } else { Err(self.failed(&status)) }
    }

    /// Runs it and returns what it printed to its standard output.
    pub(crate) fn capture(&self) -> Result<String> {
        let output = self
            .command()
            .stderr(Stdio::inherit())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| self.cannot_start(&error))?;
        if !output.status.success() {
            return Err(self.failed(&output.status));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs it, passes on what it prints, and returns the lines that `keep` chooses.
    pub(crate) fn tee(&self, keep: fn(&str) -> bool) -> Result<Vec<String>> {
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.cannot_start(&error))?;
        let errors = child.stderr.take();
        let errors = thread::spawn(move || errors.map(|stream| pass_on(stream, io::stderr(), keep)));
        let mut kept = match child.stdout.take() {
            Some(stream) => pass_on(stream, io::stdout(), keep)?,
            None => Vec::new(),
        };
        let status = child.wait()?;
        let errors = errors.join().map_err(|_| "the thread that passes on standard error panicked")?;
        kept.extend(errors.transpose()?.unwrap_or_default());
        if status.success() { Ok(kept) } else { Err(self.failed(&status)) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(cargo());
        command.args(&self.arguments).current_dir(root());
        command.envs(self.environment.iter().chain(&self.servers).map(|(name, value)| (name, value)));
        command
    }

    fn cannot_start(&self, error: &io::Error) -> Box<dyn std::error::Error> {
        format!("cannot start `{self}`: {error}").into()
    }

    fn failed(&self, status: &std::process::ExitStatus) -> Box<dyn std::error::Error> {
        format!("`{self}` failed ({status})").into()
    }
}

impl fmt::Display for Cargo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}='{value}' ")?;
        }
        if !self.servers.is_empty() {
            // Where they are says nothing once they are gone, and their passwords belong in no log.
            f.write_str("cargo xtask servers -- ")?;
        }
        write!(f, "cargo {}", self.arguments.join(" "))
    }
}

/// The root of the checkout that this run was started in.
///
/// Asked at run time: with one target folder for several checkouts, a path from compile time may
/// name another one.
pub(crate) fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(xtask).parent().map(PathBuf::from).unwrap_or_default()
}

fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn pass_on(stream: impl Read, mut out: impl Write, keep: fn(&str) -> bool) -> io::Result<Vec<String>> {
    let mut kept = Vec::new();
    for line in BufReader::new(stream).split(b'\n') {
        let line = line?;
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        let line = String::from_utf8_lossy(&line);
        if keep(&line) {
            kept.push(line.trim().to_string());
        }
    }
    Ok(kept)
}
