use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use agentscale_core::metrics::{Counter, Metric};
use agentscale_core::observe::{Observation, ObservationLevel, Observer, TracingObserver};
use agentscale_core::{Error, ErrorKind, HybridClock, Result};

use super::parse::MAX_BYTES;
use super::{Configuration, ConfiguredGateway, GatewayParts, OPERATION, Watch};

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

#[derive(Clone, Copy, Debug)]
enum Format {
    Toml,
    Yaml,
}

impl GatewayFile {
    /// Reads a file and makes its gateway.
    ///
    /// # Errors
    /// `not_found`, `permission_denied` and `unavailable` for a file that cannot be read; `invalid_input` for one whose name
    /// has another ending, and else as for [`Configuration::from_toml`] and [`ConfiguredGateway::new`], with the `file`.
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
        let text = read(&self.shared.path).await;
        let mut last = self.shared.last.lock().await;
        let taken = match text {
            Ok(text) => {
                *last = blake3::hash(text.as_bytes());
                self.take(&text).await
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
        *last = hash;
        let taken = self.take(text).await;
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

impl Format {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => Ok(Self::Toml),
            Some("yaml" | "yml") => Ok(Self::Yaml),
            _ => Err(in_file(
                Error::new(ErrorKind::InvalidInput, OPERATION)
                    .with_context("reason", "its name ends in none of .toml, .yaml, .yml"),
                path,
            )),
        }
    }

    fn parse(self, text: &str) -> Result<Configuration> {
        match self {
            Self::Toml => Configuration::from_toml(text),
            Self::Yaml => Configuration::from_yaml(text),
        }
    }
}

async fn read(path: &Path) -> Result<String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_now(&path)).await;
    read.map_err(|error| Error::new(ErrorKind::Internal, OPERATION).with_source(error))?
}

fn read_now(path: &Path) -> Result<String> {
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            IoErrorKind::NotFound | IoErrorKind::NotADirectory => ErrorKind::NotFound,
            IoErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            IoErrorKind::InvalidData => ErrorKind::InvalidInput,
            _ => ErrorKind::Unavailable,
        };
        in_file(Error::new(kind, OPERATION).with_source(error), path)
    };
    // Before it is opened: opening a pipe waits for who writes it.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let error = Error::new(ErrorKind::InvalidInput, OPERATION).with_context("reason", "no file");
        return Err(in_file(error, path));
    }
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(MAX_BYTES as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn in_file(error: Error, path: &Path) -> Error {
    error.with_context("file", path.display())
}
