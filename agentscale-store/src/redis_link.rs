//! A Redis that is asked for a bounded time, and left alone while it does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::layers::{CircuitBreaker, CircuitBreakerConfig};
use agentscale_core::time::SystemClock;
use agentscale_core::{Error, ErrorKind, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue};
use tokio::time::timeout;

/// One connection, shared by its clones, which reconnects by itself.
#[derive(Clone)]
pub(crate) struct RedisLink {
    connection: ConnectionManager,
    breaker: CircuitBreaker,
    wait: Duration,
    failures: Arc<AtomicU64>,
}

impl RedisLink {
    /// Connects when it is first asked. Called within a tokio runtime.
    ///
    /// # Errors
    /// `invalid_input` with the `field` that cannot work.
    pub(crate) fn new(
        client: Client,
        name: &'static str,
        wait: Duration,
        breaker: &CircuitBreakerConfig,
        operation: &'static str,
    ) -> Result<Self> {
        check(!wait.is_zero(), operation, "wait")?;
        let patience = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(wait.saturating_mul(10)))
            .set_response_timeout(Some(wait));
        let connection = ConnectionManager::new_lazy_with_config(client, patience)
            .map_err(|_| invalid(operation, "url"))?;
        let breaker = CircuitBreaker::new(name, breaker.clone(), Arc::new(SystemClock::new()))?;
        Ok(Self { connection, breaker, wait, failures: Arc::default() })
    }

    /// The answer to a command.
    ///
    /// # Errors
    /// `circuit_open` while Redis is left alone, `unavailable` where it failed or did not answer in time.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let permit = self.breaker.try_acquire()?;
        let mut connection = self.connection.clone();
        match timeout(self.wait, command.query_async::<T>(&mut connection)).await {
            Ok(Ok(answer)) => {
                permit.success();
                Ok(answer)
            }
            failed => {
                permit.failure();
                self.failures.fetch_add(1, Ordering::Relaxed);
                let error = Error::new(ErrorKind::Unavailable, "ask redis");
                Err(match failed {
                    Ok(Err(native)) => {
                        tracing::debug!(error = %native, "redis failed");
                        error.with_source(native)
                    }
                    _ => error.with_context("reason", "no answer in time"),
                })
            }
        }
    }

    /// Questions that failed or were not answered in time.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// The client of a URL (`redis://`, `rediss://`).
///
/// # Errors
/// `invalid_input` for a URL that is none. The native error may repeat the URL, and with it a password.
pub(crate) fn client(url: &str, operation: &'static str) -> Result<Client> {
    Client::open(url).map_err(|_| invalid(operation, "url"))
}

pub(crate) fn check(holds: bool, operation: &'static str, field: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(invalid(operation, field)) }
}

fn invalid(operation: &'static str, field: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, operation).with_context("field", field)
}

/// The first bytes of the hash of all parts, one behind the other.
pub(crate) fn checksum<const BYTES: usize>(parts: &[&[u8]]) -> [u8; BYTES] {
    let mut hasher = blake3::Hasher::new();
    parts.iter().for_each(|part| {
        hasher.update(part);
    });
    let mut checksum = [0; BYTES];
    hasher.finalize_xof().fill(&mut checksum);
    checksum
}
