use agentscale::core::{Error, ErrorKind, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far the end of the server has come.
#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<Stage>);

/// The moment at which what is still open is cut.
#[derive(Clone, Debug)]
pub(crate) struct Cut(watch::Receiver<Stage>);

/// What the system tells a process that shall end.
#[derive(Debug)]
pub(super) struct Told {
    terminated: Signal,
    interrupted: Signal,
    times: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    Draining,
    Cutting,
}

impl Drain {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }

    pub(super) fn begin(&self) {
        self.0.send_replace(Stage::Draining);
    }

    pub(super) fn cut_all(&self) {
        self.0.send_replace(Stage::Cutting);
    }

    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow() >= Stage::Draining
    }

    pub(crate) fn cut(&self) -> Cut {
        Cut(self.0.subscribe())
    }
}

impl Cut {
    /// Ends when the server listens for its last requests.
    pub(super) async fn drain_began(&mut self) {
        if self.0.wait_for(|stage| *stage >= Stage::Draining).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends when the moment has come.
    pub(crate) async fn came(&mut self) {
        // An error says that the server is gone, and with it who would read.
        if self.0.wait_for(|stage| *stage == Stage::Cutting).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Told {
    pub(super) fn new() -> Result<Self> {
        let heard = |kind| {
            signal(kind).map_err(|error| Error::new(ErrorKind::Internal, "hear signals").with_source(error))
        };
        let (terminated, interrupted) = (heard(SignalKind::terminate())?, heard(SignalKind::interrupt())?);
        Ok(Self { terminated, interrupted, times: 0 })
    }

    /// Ends with SIGTERM or ctrl-c; each once.
    pub(super) async fn came(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
        self.times += 1;
    }

    /// It came again: nothing is to be waited for any more.
    pub(super) fn hurries(&self) -> bool {
        self.times > 1
    }
}
