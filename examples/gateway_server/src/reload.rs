//! Takes anew, while the server runs, what its own file says: its keys. The gateway's file is watched beside this.

use std::convert::Infallible;
use std::time::Duration;

use agentscale::core::metrics::{Counter, Metric, Metrics};
use agentscale::core::{Error, ErrorKind, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;
use crate::config::{ConfigFile, ServerConfig};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

const LOADS: Metric =
    Metric::new("gateway_server_config_loads_total", "the server's own file as it was read, by outcome");

/// What the system tells a process whose files are to be read anew.
#[derive(Debug)]
pub(crate) struct HungUp(Signal);

/// The server's file, looked at every second, and with SIGHUP at once.
#[derive(Debug)]
pub(crate) struct Reload {
    file: Option<ConfigFile>,
    /// What the file says of all but the keys, when the server started.
    started: ServerConfig,
    /// What it was changed to, seen once. It is taken when it is found the same twice: it may still be being written.
    seen: Option<blake3::Hash>,
    /// It could not be read, which was told.
    is_gone: bool,
    applied: Counter,
    refused: Counter,
}

impl HungUp {
    /// From now on SIGHUP does not end the process.
    ///
    /// # Errors
    /// `internal` where the process cannot hear it.
    pub(crate) fn new() -> Result<Self> {
        let heard = signal(SignalKind::hangup());
        heard.map(Self).map_err(|error| Error::new(ErrorKind::Internal, "hear signals").with_source(error))
    }
}

impl Reload {
    /// `file` as it was read to `config`; `None` where there is none.
    ///
    /// # Errors
    /// Those of the registry.
    pub(crate) fn new(file: Option<ConfigFile>, config: &ServerConfig, registry: &Metrics) -> Result<Self> {
        let loads = |outcome| registry.counter(&LOADS, &[("outcome", outcome)]);
        let started = without_keys(config.clone());
        let (applied, refused) = (loads("applied")?, loads("refused")?);
        Ok(Self { file, started, seen: None, is_gone: false, applied, refused })
    }

    /// Never ends by itself.
    pub(crate) async fn run(mut self, app: &App, mut hung_up: HungUp) -> Infallible {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => self.look(app).await,
                _ = hung_up.0.recv() => self.take_all(app).await,
            }
        }
    }

    async fn look(&mut self, app: &App) {
        let Some(file) = &self.file else { return };
        match file.changed().await {
            Ok(Some(now)) if self.seen == Some(now) => self.take(app).await,
            Ok(seen) => (self.seen, self.is_gone) = (seen, false),
            Err(error) => {
                if !self.is_gone {
                    self.refuse(&error);
                }
                (self.seen, self.is_gone) = (None, true);
            }
        }
    }

    /// Takes both files at once.
    async fn take_all(&mut self, app: &App) {
        if self.file.is_none() {
            tracing::info!("no configuration to read anew");
            return;
        }
        self.take(app).await;
        // What came of it is told there.
        drop(app.reload_gateway().await);
    }

    async fn take(&mut self, app: &App) {
        let Some(file) = &mut self.file else { return };
        (self.seen, self.is_gone) = (None, false);
        let read = file.read().await;
        let taken = read.and_then(|config| app.keys.exchange(&config.keys).map(|()| config));
        match taken {
            Ok(config) => {
                self.applied.increment();
                tracing::info!(keys = config.keys.len(), "read the configuration anew");
                if without_keys(config) != self.started {
                    tracing::warn!(
                        "of the server's own configuration all but the keys waits for its next start"
                    );
                }
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn refuse(&self, error: &Error) {
        self.refused.increment();
        tracing::warn!(%error, "the configuration cannot be used; all stays as it was");
    }
}

fn without_keys(config: ServerConfig) -> ServerConfig {
    ServerConfig { keys: Vec::new(), ..config }
}
