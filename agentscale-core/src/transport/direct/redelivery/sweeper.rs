//! The one task that delivers again. It ends with its transport.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{Redelivery, Says, after};
use crate::time::Clock;
use crate::transport::Delivery;
use crate::transport::direct::routes::Routes;
use crate::{Error, ErrorKind, Result, Retry};

#[derive(Debug, Default)]
pub(in crate::transport::direct) struct Sweeper {
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Sweeper {
    /// Starts the task unless it runs.
    pub(in crate::transport::direct) fn ensure(
        &self,
        redelivery: &Arc<Redelivery>,
        routes: &Arc<Routes>,
        clock: &Arc<dyn Clock>,
    ) -> Result<()> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            let runtime = Handle::try_current().map_err(|error| {
                Error::new(ErrorKind::Unsupported, "attach acknowledged subscription").with_source(error)
            })?;
            *task = Some(runtime.spawn(sweep(redelivery.clone(), routes.clone(), clock.clone())));
        }
        Ok(())
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

async fn sweep(redelivery: Arc<Redelivery>, routes: Arc<Routes>, clock: Arc<dyn Clock>) {
    loop {
        let due = redelivery.pending().sleep();
        let sooner = redelivery.sooner.notified();
        match due {
            None => sooner.await,
            // Both ends of the wait lead to the same look at the table.
            Some(due) => drop(timeout_at(due, sooner).await),
        }
        let now = Instant::now();
        while redelivery.deliver_due(now, &routes, clock.as_ref()) {}
    }
}

impl Redelivery {
    /// Delivers or buries one message that is due; `false` where none is.
    fn deliver_due(self: &Arc<Self>, now: Instant, routes: &Routes, clock: &dyn Clock) -> bool {
        // What is refused or silent comes again later than `now`, so that a sweep ends.
        let later = after(self.ack_wait.max(Duration::from_millis(1)));
        let Some((turn, before)) = self.pending().next_turn(now, later) else { return false };
        let bury = |cause: Error| {
            self.forget(turn);
            self.bury(before.message.clone(), cause.with_context("attempts", before.attempt));
        };
        if before.attempt >= self.max_deliveries {
            let silent = || Error::new(ErrorKind::DeadlineExceeded, "acknowledge delivery");
            bury(before.fault.clone().unwrap_or_else(silent).with_retry(Retry::Exhausted));
            return true;
        }
        if let Err(expired) = before.message.time_left(clock.unix_micros(), Duration::MAX) {
            bury(expired);
            return true;
        }
        let Some(group) = routes.group(&before.message, &before.group) else {
            let nobody = Error::new(ErrorKind::NotFound, "deliver message again");
            bury(nobody.with_context("reason", "no subscriber"));
            return true;
        };
        let again = Delivery::new(before.message.clone()).with_size_hint(before.bytes);
        let again = again.with_acknowledge(Says::about(self, turn), turn.attempt);
        match group.offer(again) {
            Ok(()) => {
                self.counters.redelivered.fetch_add(1, Ordering::Relaxed);
            }
            Err(refused) => {
                // Its drop asks for another turn at once; a full inbox gets time instead.
                drop(refused.delivery);
                self.change(|pending| pending.reschedule(turn, later, Some(refused.error)));
            }
        }
        true
    }
}
