use std::time::Duration;

use agentscale::core::Result;
use tokio::time::{Instant, sleep_until, timeout};

use super::drain::Told;
use crate::app::App;

/// How long the ledger may take where the process is told to end at once.
const HURRIED: Duration = Duration::from_secs(1);

/// How long it may take to find out what the ledger has not written; nothing is waited for then.
const GIVING_UP: Duration = Duration::from_secs(1);

/// Writes to the ledger what was used, and to the log what the ledger does not write in time. Gives whether all is in the
/// ledger.
pub(super) async fn settle(app: &App, told: &mut Told) -> bool {
    match close(app, told).await {
        Some(Ok(())) => return true,
        Some(Err(error)) => tracing::warn!(%error, "settle the budgets"),
        None => tracing::warn!("the ledger takes too long to settle the budgets"),
    }
    match timeout(GIVING_UP, app.give_up()).await {
        Ok(Ok(0)) => return true,
        Ok(Ok(records)) => {
            tracing::error!(records, "usage stands in this log that may not stand in the ledger")
        }
        Ok(Err(error)) => tracing::error!(%error, "find out what is not in the ledger"),
        Err(_) => tracing::error!("it takes too long to find out what is not in the ledger"),
    }
    false
}

/// `None` where it takes too long.
async fn close(app: &App, told: &mut Told) -> Option<Result<()>> {
    let closing = app.close();
    tokio::pin!(closing);
    let patience = app.config.settle_timeout();
    let mut until = Instant::now() + if told.hurries() { patience.min(HURRIED) } else { patience };
    loop {
        tokio::select! {
            closed = &mut closing => return Some(closed),
            () = sleep_until(until) => return None,
            () = told.came() => until = until.min(Instant::now() + HURRIED),
        }
    }
}
