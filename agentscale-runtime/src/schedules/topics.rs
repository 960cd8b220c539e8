use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agentscale_core::schedule::MAX_PAGE;
use agentscale_core::transport::{MailboxLimits, Subscription, TransportExt};
use agentscale_core::{Result, ScheduleStore, Tenant, Topic, Transport};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::config::SchedulerConfig;
use super::events;
use super::stats::Counters;

/// The queue group of all schedulers: each event goes to one of them.
const GROUP: &str = "agentscale-schedules";

/// Keeps a subscription for each topic that schedules wait for, until it is told to stop.
pub(super) async fn run(
    store: Arc<dyn ScheduleStore>,
    transport: Arc<dyn Transport>,
    config: SchedulerConfig,
    counters: Arc<Counters>,
    stop: CancellationToken,
) {
    // They end with this.
    let mut tasks = JoinSet::new();
    let mut served: BTreeMap<(Tenant, Topic), CancellationToken> = BTreeMap::new();
    while !stop.is_cancelled() {
        match all(&*store).await {
            Ok(wanted) => {
                served.retain(|topic, ending| {
                    let stays = wanted.contains(topic);
                    if !stays {
                        ending.cancel();
                    }
                    stays
                });
                for topic in wanted {
                    if served.contains_key(&topic) {
                        continue;
                    }
                    let (tenant, name) = topic.clone();
                    let subscription = Subscription::topic(tenant, name).in_group(GROUP).acknowledged();
                    let limits =
                        MailboxLimits { messages: config.waiting_events, ..MailboxLimits::default() };
                    match transport.subscribe(subscription, limits).await {
                        Ok(subscriber) => {
                            let ending = stop.child_token();
                            let served_by = events::serve(
                                store.clone(),
                                subscriber,
                                config.batch,
                                counters.clone(),
                                ending.clone(),
                            );
                            tasks.spawn(served_by);
                            served.insert(topic, ending);
                        }
                        Err(error) => {
                            tracing::warn!(%error, topic = %topic.1, "a topic of schedules was not subscribed");
                            counters.failed();
                        }
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "topics of schedules were not read");
                counters.failed();
            }
        }
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = sleep(config.topics) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn all(store: &dyn ScheduleStore) -> Result<BTreeSet<(Tenant, Topic)>> {
    let mut topics = BTreeSet::new();
    let mut after = None;
    loop {
        let page = store.topics(after).await?;
        let is_last = page.len() < MAX_PAGE;
        after = page.last().cloned();
        topics.extend(page);
        if is_last {
            return Ok(topics);
        }
    }
}
