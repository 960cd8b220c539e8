//! The servers of our own, and what ends them.

use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::folder::Folder;
use super::port;
use super::process::Process;
use super::user::User;
use crate::Result;

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// Somebody else may take a free port before the server does.
const ATTEMPTS: u32 = 3;

/// Stopped when this is dropped, and when this process is told to end.
pub(super) struct Running {
    user: Option<User>,
    dies_with_us: bool,
    kept: Arc<Mutex<Kept>>,
    signals: Handle,
}

struct Kept {
    processes: Vec<Process>,
    folder: Option<Folder>,
}

/// How a server is started, and how it is known to answer.
pub(super) struct Plan<'a> {
    pub(super) name: &'a str,
    /// The signal that ends it without waiting for its clients.
    pub(super) stop: &'static str,
    /// On a port that is free.
    pub(super) command: &'a dyn Fn(u16) -> Result<Command>,
    pub(super) answers: &'a dyn Fn(u16) -> bool,
}

impl Running {
    pub(super) fn new() -> Result<Self> {
        let user = User::for_servers()?;
        let kept = Kept { processes: Vec::new(), folder: Some(Folder::new(user)?) };
        let kept = Arc::new(Mutex::new(kept));
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let handle = signals.handle();
        let ours = kept.clone();
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                lock(&ours).stop();
                process::exit(128 + signal);
            }
        });
        let dies_with_us = Command::new("setpriv").arg("--version").output().is_ok();
        Ok(Self { user, dies_with_us, kept, signals: handle })
    }

    /// Where servers keep their files.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        Ok(lock(&self.kept).folder.as_ref().ok_or("interrupted")?.path().to_owned())
    }

    /// Writes a file that servers can read and nobody else.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        lock(&self.kept).folder.as_ref().ok_or("interrupted")?.write(name, text)
    }

    /// A command of the servers' user that ends with this process, even where this one is killed.
    pub(super) fn command(&self, program: &std::path::Path, signal: &str) -> Command {
        let mut command = if self.dies_with_us {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", signal, "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        if let Some(user) = self.user {
            user.apply(&mut command);
        }
        command
    }

    /// Starts a server and waits until it answers, on the port that this gives.
    ///
    /// # Errors
    /// What the server said, where it ended or did not answer in time.
    pub(super) fn start(&self, plan: &Plan<'_>) -> Result<u16> {
        let mut attempt = 1;
        loop {
            let port = port::free()?;
            self.spawn(plan, port)?;
            match self.wait(plan, port) {
                Ok(()) => return Ok(port),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    fn spawn(&self, plan: &Plan<'_>, port: u16) -> Result {
        let command = (plan.command)(port)?;
        let mut kept = lock(&self.kept);
        let log = kept.folder.as_ref().ok_or("interrupted")?.path().join(format!("{}.log", plan.name));
        kept.processes.push(Process::start(command, plan.stop, &log)?);
        Ok(())
    }

    /// Waits for the server that was started last, and stops it where it does not answer.
    fn wait(&self, plan: &Plan<'_>, port: u16) -> Result {
        let begun = Instant::now();
        loop {
            if (plan.answers)(port) {
                return Ok(());
            }
            let mut kept = lock(&self.kept);
            let process = kept.processes.last_mut().ok_or("interrupted")?;
            let ended = process.ended();
            if ended.is_some() || begun.elapsed() > PATIENCE {
                process.stop();
                let how = ended.map_or_else(|| format!("no answer in {PATIENCE:?}"), |how| how.to_string());
                let error = format!("{} did not start ({how}):\n{}", plan.name, process.log());
                kept.processes.pop();
                return Err(error.into());
            }
            drop(kept);
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.kept).stop();
        self.signals.close();
    }
}

impl Kept {
    /// The last one first: PgBouncer before the PostgreSQL behind it.
    fn stop(&mut self) {
        while let Some(mut process) = self.processes.pop() {
            process.stop();
        }
        self.folder = None;
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    // Whatever panicked, the servers are still to be stopped.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_server_and_its_files_are_gone_with_us() {
        let running = Running::new().expect("this machine has a folder for it");
        let folder = running.folder().expect("it is not interrupted");
        let command = |_| {
            let mut command = running.command(Path::new("sleep"), "TERM");
            command.arg("600");
            Ok(command)
        };
        let plan = Plan { name: "sleeper", stop: "-TERM", command: &command, answers: &|_| true };
        running.start(&plan).expect("it starts");
        let process = lock(&running.kept).processes.last().expect("it was started").id();
        let entry = PathBuf::from(format!("/proc/{process}"));
        assert!(entry.exists() && folder.exists());
        drop(running);
        assert!(!entry.exists() && !folder.exists());
    }

    #[test]
    fn one_that_ends_is_tried_again_on_another_port_and_its_words_are_told() {
        let running = Running::new().expect("this machine has a folder for it");
        let ports = RefCell::new(Vec::new());
        let command = |port| {
            ports.borrow_mut().push(port);
            let mut command = running.command(Path::new("sh"), "TERM");
            command.args(["-c", "echo the port is taken; exit 3"]);
            Ok(command)
        };
        let plan = Plan { name: "server", stop: "-TERM", command: &command, answers: &|_| false };
        let error = running.start(&plan).expect_err("it never answers").to_string();
        assert!(error.contains("exit status: 3") && error.contains("the port is taken"), "{error}");
        assert_eq!(ports.borrow().len(), ATTEMPTS as usize);
    }
}
