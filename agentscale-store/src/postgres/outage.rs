use std::fmt;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind};
use sqlx::Connection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::connect::connect;
use super::map_error;

/// Notices that the server cannot be reached, for all who wait for it.
///
/// The pool asks a server that refuses connections again and again until its own time is up, and a connection whose
/// other end is gone is silent for as long as a statement may take.
pub(super) struct OutageWatch {
    options: PgConnectOptions,
    patience: Duration,
    /// When the server was looked for last, and why it was not found.
    last: Mutex<Option<(Instant, Option<Error>)>>,
}

impl OutageWatch {
    pub(super) fn new(options: PgConnectOptions, patience: Duration) -> Self {
        Self { options, patience, last: Mutex::default() }
    }

    /// Ends with an error after so long a time in which the server cannot be reached; never while it can.
    pub(super) async fn outage(&self, operation: &'static str) -> Error {
        loop {
            sleep(self.patience / 4).await;
            if let Some(cause) = self.look().await {
                return Error::new(ErrorKind::Unavailable, operation)
                    .with_context("reason", "the server cannot be reached")
                    .with_source(cause);
            }
        }
    }

    /// Opens a connection, for all who ask meanwhile.
    async fn look(&self) -> Option<Error> {
        let began = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((at, found)) = &*last
            && *at >= began
        {
            return found.clone();
        }
        let found = match connect(&self.options, self.patience / 4 * 3).await {
            Err(silent) => Some(silent),
            Ok(Err(native)) => {
                let error = map_error("connect to postgres")(native);
                // Whoever refuses by another reason is there.
                (error.kind() == ErrorKind::Unavailable).then_some(error)
            }
            Ok(Ok(connection)) => {
                // It was opened, which is all that was asked.
                let _ = timeout(self.patience, connection.close()).await;
                None
            }
        };
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

/// The options hold a password.
impl fmt::Debug for OutageWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutageWatch").field("patience", &self.patience).finish_non_exhaustive()
    }
}
