use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use agentscale_core::metrics::{Counter, Metric};
use agentscale_core::observe::{Observation, ObservationLevel, Observer, TracingObserver};
use agentscale_core::{Error, HybridClock, Result};

use super::format::{Format, in_file, read};
use super::{ConfiguredGateway, GatewayParts, Watch};

const LOADS: Metric =
    Metric::new("agentscale_gateway_config_loads_total", "configurations that were read, by outcome");

/// A gateway whose configuration stands in a file: TOML where its name ends in `.toml`, YAML in `.yaml` or `.yml`.
///
/// What the file says anew is taken with [`reload`](Self::reload), or unasked while [`watch`](Self::watch) runs. A file that
/// cannot work leaves all as it was, and is told: as an observation `gateway_config_refused`, to `tracing` unless another
/// observer is given, and in `agentscale_gateway_config_loads_total`.
#[derive(Clone, Debug)]
pub struct GatewayFile {
    gateway: ConfiguredGateway,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    format: Format,
    stamps: HybridClock,
    parts: GatewayParts,
    observer: Mutex<Arc<dyn Observer>>,
    applied: Counter,
    refused: Counter,
    /// What was last read, and what came of it.
    last: tokio::sync::Mutex<blake3::Hash>,
    error: Mutex<Option<Error>>,
}

impl GatewayFile {
    /// Reads a file and makes its gateway.
    ///
    /// # Errors
    /// `not_found`, `permission_denied` and `unavailable` for a file that cannot be read; `invalid_input` for one whose name
    /// has another ending, and else as for [`Configuration::from_toml`](super::Configuration::from_toml) and [`ConfiguredGateway::new`], with the `file`.
    pub async fn open(path: impl Into<PathBuf>, parts: GatewayParts) -> Result<Self> {
        let path = path.into();
        let format = Format::of(&path)?;
        let text = read(&path).await?;
        let made = async { ConfiguredGateway::new(format.parse(&text)?, parts.clone()).await };
        let gateway = made.await.map_err(|error| in_file(error, &path))?;
        let loads = |outcome| parts.metrics.counter(&LOADS, &[("outcome", outcome)]);
        let (applied, refused) = (loads("applied")?, loads("refused")?);
        applied.increment();
        let shared = Shared {
            path,
            format,
            stamps: HybridClock::new(fastrand::u64(..)),
            applied,
            refused,
            observer: Mutex::new(Arc::new(TracingObserver)),
            last: tokio::sync::Mutex::new(blake3::hash(text.as_bytes())),
            error: Mutex::new(None),
            parts,
        };
        Ok(Self { gateway, shared: Arc::new(shared) })
    }

    /// Sets who is told of configurations that were taken and refused; `tracing` unless given.
    #[must_use]
    pub fn with_observer(self, observer: impl Observer) -> Self {
        *self.shared.observer.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(observer);
        self
    }

    /// The gateway.
    pub fn gateway(&self) -> &ConfiguredGateway {
        &self.gateway
    }

    /// Why the file as it was last read is not what the gateway does; `None` where it is.
    pub fn error(&self) -> Option<Error> {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file and takes what it says.
    ///
    /// # Errors
    /// As for [`open`](Self::open); then nothing has changed.
    pub async fn reload(&self) -> Result<()> {
        let mut last = self.shared.last.lock().await;
        let taken = match read(&self.shared.path).await {
            Ok(text) => {
                let taken = self.take(&text).await;
                // Behind the await: what was dropped before was not taken.
                *last = blake3::hash(text.as_bytes());
                taken
            }
            Err(error) => Err(error),
        };
        self.tell(taken)
    }

    /// Watches the file until what is given back is dropped.
    pub fn watch(&self) -> Watch {
        Watch::start(self.clone())
    }

    /// What the file holds, and its hash, where that is not what was last taken.
    pub(super) async fn changed(&self) -> Result<Option<(String, blake3::Hash)>> {
        let text = read(&self.shared.path).await?;
        let hash = blake3::hash(text.as_bytes());
        Ok((*self.shared.last.lock().await != hash).then_some((text, hash)))
    }

    /// Takes what the file was seen to hold.
    pub(super) async fn take_seen(&self, text: &str, hash: blake3::Hash) -> Result<()> {
        let mut last = self.shared.last.lock().await;
        let taken = self.take(text).await;
        *last = hash;
        self.tell(taken)
    }

    /// Takes again what was refused, as a secret that was not there may have come. The same refusal is not told again.
    pub(super) async fn try_again(&self) {
        let Some(before) = self.error() else { return };
        let last = self.shared.last.lock().await;
        let Ok(text) = read(&self.shared.path).await else { return };
        if blake3::hash(text.as_bytes()) != *last {
            return;
        }
        let taken = self.take(&text).await;
        if taken.as_ref().err().map(Error::to_string) != Some(before.to_string()) {
            self.tell(taken).ok();
        }
    }

    async fn take(&self, text: &str) -> Result<()> {
        let configuration = self.shared.format.parse(text);
        let taken = async { self.gateway.apply(configuration?).await };
        taken.await.map_err(|error| in_file(error, &self.shared.path))
    }

    /// Counts and tells what came of a file.
    pub(super) fn tell(&self, taken: Result<()>) -> Result<()> {
        let Shared { stamps, parts, observer, applied, refused, error, .. } = &*self.shared;
        let stamp = stamps.stamp(parts.clock.unix_micros());
        let observation = match &taken {
            Ok(()) => {
                applied.increment();
                Observation::new(ObservationLevel::Info, "gateway_config_applied", stamp)
            }
            Err(error) => {
                refused.increment();
                let told = Observation::new(ObservationLevel::Warning, "gateway_config_refused", stamp);
                told.with_field("error", error.to_string())
            }
        };
        *error.lock().unwrap_or_else(PoisonError::into_inner) = taken.as_ref().err().cloned();
        let observer = Arc::clone(&observer.lock().unwrap_or_else(PoisonError::into_inner));
        observer.emit(observation);
        taken
    }
}
