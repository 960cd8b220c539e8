//! A server's process: started, asked until it answers, stopped.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// How long a server may take to end before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// A process that was started here, known by its id.
pub(super) struct Process {
    child: Child,
    /// The signal that ends it cleanly, without waiting for its clients.
    stop: &'static str,
    log: PathBuf,
}

impl Process {
    /// Starts it in a group of its own, so that an interrupt at the terminal reaches only us, who stop it in order.
    pub(super) fn start(mut command: Command, stop: &'static str, log: &Path) -> Result<Self> {
        let out = File::create(log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))?;
        Ok(Self { child, stop, log: log.to_owned() })
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        // A child that cannot be asked is gone.
        self.child.try_wait().unwrap_or_default()
    }

    /// What it said last.
    pub(super) fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    pub(super) fn stop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // Whatever fails here, the process is killed below.
        let _ = Command::new("kill").args([self.stop, &self.child.id().to_string()]).status();
        let begun = Instant::now();
        while self.ended().is_none() && begun.elapsed() < LAST_WORDS {
            thread::sleep(PAUSE);
        }
        // Both fail where it has ended by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
