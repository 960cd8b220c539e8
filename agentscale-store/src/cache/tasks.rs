//! The tasks of a node that shares its changes with others.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::InvalidationBus;
use super::bus::TAGS;
use super::core::Core;
use super::link::Said;
use super::shared::SharedLayer;

/// How long a subscription may take.
const SUBSCRIBE: Duration = Duration::from_secs(5);
/// How long the first pause is behind a subscription that failed or ended, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Takes in the messages of other nodes. Subscribes anew where a subscription ends or has lost some.
pub(super) async fn listen(core: Arc<Core>, bus: Arc<dyn InvalidationBus>) {
    let mut pause = PAUSES.0;
    loop {
        match begin(&core, &*bus).await {
            Ok(messages) => {
                pause = PAUSES.0;
                follow(&core, messages).await;
                core.link.end();
                if core.layer.is_none() {
                    // Nothing says what was missed.
                    core.void();
                }
            }
            Err(error) => tracing::debug!(%error, "changes of other nodes are not followed"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

async fn begin(core: &Core, bus: &dyn InvalidationBus) -> Result<BoxStream<'static, Bytes>> {
    let late = |_| Err(Error::new(ErrorKind::DeadlineExceeded, "subscribe to changes"));
    let messages = timeout(SUBSCRIBE, bus.subscribe()).await.unwrap_or_else(late);
    let messages = messages.inspect_err(|_| core.counts.failures.increment())?;
    if let Some(layer) = &core.layer {
        let at = core.clock.now();
        let last = layer.last_change().await.inspect_err(|_| core.counts.failures.increment())?;
        if core.link.begin(at, last) == Said::Back {
            core.void();
        }
    }
    Ok(messages)
}

async fn follow(core: &Core, mut messages: BoxStream<'static, Bytes>) {
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => core.receive(&message),
                None => return,
            },
            () = core.lost.notified() => return,
        }
    }
}

/// Asks Redis again and again how far changes have come, and tells it of those that it did not take.
pub(super) async fn check(core: Arc<Core>, layer: Arc<dyn SharedLayer>) {
    let mut every = interval(core.config.check_every);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        while let Some(telling) = core.untold.again(TAGS) {
            if core.tell(telling).await.is_err() {
                break;
            }
        }
        let (at, before) = (core.clock.now(), core.link.upto());
        match layer.last_change().await {
            Ok(last) => match core.link.said(at, before, last) {
                Said::Fine => {}
                Said::Lost => {
                    core.counts.lost.increment();
                    core.lost.notify_one();
                }
                Said::Back => core.void(),
            },
            Err(_) => core.counts.failures.increment(),
        }
    }
}
