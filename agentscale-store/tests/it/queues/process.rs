//! A process that works.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ledger::Ledger;
use super::place::Place;
use crate::processes::signal;

/// How long it says nothing at most.
const SILENT: Duration = Duration::from_secs(60);

/// Ended by `kill`, if it has not ended itself.
pub(super) struct Worker {
    process: Child,
    said: Receiver<String>,
    /// Passes on what it says, and ends with it.
    reader: JoinHandle<()>,
}

impl Worker {
    pub(super) fn start(place: &Place) -> Self {
        let mut process = place.worker();
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let (sender, said) = channel();
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody listens any more where a test has failed.
                let _ = sender.send(line);
            }
        });
        Self { process, said, reader }
    }

    /// Waits until it has said so much, or has ended.
    pub(super) async fn says(&mut self, lines: usize, ledger: &mut Ledger) {
        let mut heard = 0;
        let enough = async {
            while heard < lines && !self.has_ended() {
                heard += self.hear(ledger);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(SILENT, enough).await.expect("it goes on");
    }

    /// What it has said since the last time; how many things these were.
    pub(super) fn hear(&mut self, ledger: &mut Ledger) -> usize {
        self.said.try_iter().filter(|line| ledger.hear(line)).count()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("it is a child").is_some()
    }

    pub(super) fn signal(&self, name: &str) {
        signal(&self.process, name);
    }

    /// Ends it, and hears the rest.
    pub(super) fn kill(mut self, ledger: &mut Ledger) {
        // It may have ended itself.
        let _ = self.process.kill();
        self.process.wait().expect("it ends");
        self.reader.join().expect("it reads to the end");
        self.said.try_iter().for_each(|line| {
            ledger.hear(&line);
        });
    }
}
