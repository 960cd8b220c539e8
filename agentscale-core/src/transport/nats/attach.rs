//! Attaching: what an attachment subscribes to, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::Subscriber;
use tokio::sync::oneshot;

use super::Shared;
use super::durable::{Durable, Source};
use super::fault::fault;
use super::member::{Channel, Member};
use super::members::Membership;
use super::subjects::token;
use crate::transport::{Attachment, Inbox, Subscription, SubscriptionTarget};
use crate::{MessageId, Result};

/// The queue group of a pool's members.
const MEMBERS: &str = "members";

impl Shared {
    pub(super) async fn attach(
        shared: &Arc<Self>,
        subscription: Subscription,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Attachment> {
        let membership = shared.members.join(&subscription)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let mut stops = Vec::new();
        if subscription.acknowledged {
            let name = MessageId::new(shared.clock.unix_micros()).to_string();
            let durable = Durable {
                jetstream: shared.jetstream.clone(),
                source: Source::new(&shared.subjects, &subscription, &name)?,
                channel: match subscription.target {
                    SubscriptionTarget::Pool(_) => Channel::Tell,
                    SubscriptionTarget::Topic(..) => Channel::Topic,
                },
                config: shared.config.clone(),
                inbox: inbox.clone(),
                counters: shared.counters.clone(),
                outgoing: shared.outgoing.clone(),
                stopped: stopped.clone(),
            };
            durable.ensure().await?;
            let (stop, stopping) = oneshot::channel();
            stops.push(stop);
            shared.kept.invalidate_all();
            shared.spawn(durable.run(stopping));
        }
        let subscriptions = shared.subscribe(&subscription).await?;
        if !subscriptions.is_empty() {
            let member = Member {
                client: shared.client.clone(),
                inbox,
                counters: shared.counters.clone(),
                clock: shared.clock.clone(),
                answered: shared.answered.clone(),
                stopped: stopped.clone(),
            };
            let (stop, stopping) = oneshot::channel();
            stops.push(stop);
            shared.spawn(member.run(subscriptions, stopping));
        }
        Ok(Attachment::new(Attached { stopped, stops, membership }))
    }

    /// What comes by core NATS; all of it once the server knows of it.
    async fn subscribe(&self, subscription: &Subscription) -> Result<Vec<(Channel, Subscriber)>> {
        let failed = "subscribe";
        let mut subscriptions = Vec::new();
        let client = &self.client;
        match &subscription.target {
            SubscriptionTarget::Pool(agent_type) => {
                let [ask, tell, cancel] = self.subjects.pool(agent_type);
                let members = || MEMBERS.to_owned();
                let asks = client.queue_subscribe(ask, members()).await.map_err(fault(failed))?;
                subscriptions.push((Channel::Ask, asks));
                subscriptions.push((Channel::Cancel, client.subscribe(cancel).await.map_err(fault(failed))?));
                if !subscription.acknowledged {
                    let tells = client.queue_subscribe(tell, members()).await.map_err(fault(failed))?;
                    subscriptions.push((Channel::Tell, tells));
                }
            }
            SubscriptionTarget::Topic(..) if subscription.acknowledged => return Ok(subscriptions),
            SubscriptionTarget::Topic(tenant, topic) => {
                let subject = self.subjects.topic(tenant, topic);
                let news = match &subscription.group {
                    Some(group) => client.queue_subscribe(subject, token(group)).await,
                    None => client.subscribe(subject).await,
                };
                subscriptions.push((Channel::Topic, news.map_err(fault(failed))?));
            }
        }
        self.round_trip().await?;
        Ok(subscriptions)
    }

    /// Waits until the server has read all that was said before.
    async fn round_trip(&self) -> Result<()> {
        let mut asker = self.asked.begin();
        self.client
            .publish(asker.reply_to(), bytes::Bytes::from_static(b"{}"))
            .await
            .map_err(fault("subscribe"))?;
        // Whatever comes back has been there.
        asker.next().await;
        Ok(())
    }
}

/// Ends an attachment when it is dropped; its tasks end once they have passed on what was left.
struct Attached {
    stopped: Arc<AtomicBool>,
    #[expect(dead_code, reason = "their drop is the signal")]
    stops: Vec<oneshot::Sender<()>>,
    #[expect(dead_code, reason = "kept for its drop")]
    membership: Option<Membership>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
    }
}
