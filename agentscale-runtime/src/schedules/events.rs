use std::sync::Arc;
use std::time::Duration;

use agentscale_core::schedule::ScheduleEvent;
use agentscale_core::transport::{Delivery, Subscriber};
use agentscale_core::{Destination, Error, ErrorKind, Result, ScheduleStore};
use tokio_util::sync::CancellationToken;

use super::stats::Counters;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Enqueues what waits for the events of one topic, until it is told to stop.
pub(super) async fn serve(
    store: Arc<dyn ScheduleStore>,
    mut subscriber: Subscriber,
    batch: usize,
    counters: Arc<Counters>,
    ending: CancellationToken,
) {
    loop {
        let first = tokio::select! {
            biased;
            () = ending.cancelled() => return,
            delivery = subscriber.next() => delivery,
        };
        let mut deliveries = vec![first];
        while deliveries.len() < batch
            && let Some(delivery) = subscriber.try_next()
        {
            deliveries.push(delivery);
        }
        take(&*store, deliveries, &counters).await;
    }
}

async fn take(store: &dyn ScheduleStore, deliveries: Vec<Delivery>, counters: &Counters) {
    let mut taken = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        match event(&delivery) {
            Ok(event) => taken.push((delivery, event)),
            Err(error) => bury(delivery, error, counters),
        }
    }
    if taken.is_empty() {
        return;
    }
    let events: Vec<_> = taken.iter().map(|(_, event)| event.clone()).collect();
    match store.trigger(events).await {
        Ok(_) => {
            counters.took(taken.len());
            taken.into_iter().for_each(|(delivery, _)| delivery.ack());
        }
        Err(error) if taken.len() > 1 && is_the_events(&error) => {
            for (delivery, event) in taken {
                match store.trigger(vec![event]).await {
                    Ok(_) => {
                        counters.took(1);
                        delivery.ack();
                    }
                    Err(error) => give_back(delivery, error, counters),
                }
            }
        }
        Err(error) => {
            for (delivery, _) in taken {
                give_back(delivery, error.clone(), counters);
            }
        }
    }
}

fn event(delivery: &Delivery) -> Result<ScheduleEvent> {
    let message = &delivery.message;
    let Destination::Topic(topic) = &message.to else {
        return Err(
            Error::new(ErrorKind::InvalidInput, "trigger schedules").with_context("reason", "not of a topic")
        );
    };
    let (_, payload) = message.raw_body().encode()?;
    let event = ScheduleEvent::new(*message.id.as_uuid(), message.tenant.clone(), topic.clone(), payload);
    Ok(event.with_trace(message.trace.as_deref().cloned()))
}

fn give_back(delivery: Delivery, error: Error, counters: &Counters) {
    if is_the_events(&error) {
        return bury(delivery, error, counters);
    }
    tracing::warn!(%error, "an event did not reach its schedules");
    counters.failed();
    let wait = FIRST_WAIT.saturating_mul(1 << delivery.attempt.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    delivery.nak(wait);
}

fn bury(delivery: Delivery, error: Error, counters: &Counters) {
    tracing::warn!(%error, "an event can have no job");
    counters.buried();
    delivery.dead_letter(error);
}

/// Whether the same event fails again whenever it comes.
fn is_the_events(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge)
}
