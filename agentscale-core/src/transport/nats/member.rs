//! One attachment without acknowledgements: requests and messages go to the inbox, replies and refusals back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Subject, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, SelectAll};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::answered::Answered;
use super::counters::Counters;
use super::frame;
use super::protocol::{self, Signal};
use super::subjects::{self};
use crate::message::MessageId;
use crate::time::Clock;
use crate::transport::{DEFAULT_REQUEST_TIMEOUT, Delivery, Inbox, ReplyTo};
use crate::{AgentMessage, Destination, Error, ErrorKind, Result};

/// What an attachment listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Ask,
    Tell,
    Cancel,
    Topic,
}

pub(super) struct Member {
    pub(super) client: Client,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) answered: Arc<Answered>,
    pub(super) stopped: Arc<AtomicBool>,
}

/// Ends a request that is not waited for.
type Open = HashMap<MessageId, oneshot::Sender<()>>;
/// Says something; names the request that it ends.
type Saying = BoxFuture<'static, Option<MessageId>>;

impl Member {
    /// Delivers until `stop`, and gives what is left to the other members. Ends when every request is answered.
    pub(super) async fn run(
        self,
        subscriptions: Vec<(Channel, Subscriber)>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let mut incoming: SelectAll<_> =
            subscriptions.into_iter().map(|(channel, subscriber)| Incoming { channel, subscriber }).collect();
        let mut open = Open::new();
        let mut sayings = FuturesUnordered::<Saying>::new();
        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                _ = &mut stop, if !draining => {
                    draining = true;
                    for incoming in incoming.iter_mut() {
                        // Fails once the connection is closed: then nothing comes any more.
                        let _ = incoming.subscriber.drain().await;
                    }
                }
                Some(ended) = sayings.next() => {
                    if let Some(id) = ended {
                        open.remove(&id);
                    }
                }
                next = incoming.next(), if !incoming.is_empty() => {
                    let Some((channel, message)) = next else { continue };
                    if self.stopped.load(Ordering::Acquire) && !draining {
                        draining = true;
                        for incoming in incoming.iter_mut() {
                            let _ = incoming.subscriber.drain().await;
                        }
                    }
                    let saying = if draining && matches!(channel, Channel::Ask | Channel::Tell) {
                        Some(self.pass_on(message))
                    } else if draining && channel == Channel::Topic {
                        None
                    } else {
                        self.take(channel, message, &mut open)
                    };
                    sayings.extend(saying);
                }
                else => return,
            }
        }
    }

    fn take(&self, channel: Channel, message: Message, open: &mut Open) -> Option<Saying> {
        let Message { subject, reply, payload, headers, .. } = message;
        let headers = headers.unwrap_or_default();
        if channel == Channel::Cancel {
            return self.signal(&headers, reply, open);
        }
        let message = match read(channel, &subject, &headers, payload) {
            Ok(message) => message,
            Err(error) => {
                self.counters.add(&self.counters.malformed);
                tracing::warn!(%error, %subject, "what came is no message of its subject");
                return Some(self.refuse(reply?, &error));
            }
        };
        match channel {
            Channel::Ask => self.ask(message, reply?, open),
            Channel::Tell => Some(self.tell(message, reply)),
            Channel::Topic | Channel::Cancel => {
                if self.inbox.deliver(Delivery::new(message)).is_err() {
                    self.counters.add(&self.counters.missed);
                }
                None
            }
        }
    }

    fn ask(&self, message: AgentMessage, reply: Subject, open: &mut Open) -> Option<Saying> {
        let id = message.id;
        if open.contains_key(&id) {
            return None;
        }
        if let Some((headers, payload)) = self.answered.get(id) {
            return Some(self.say(reply, headers, payload));
        }
        let wait = match message.time_left(self.clock.unix_micros(), DEFAULT_REQUEST_TIMEOUT) {
            Ok(wait) => wait,
            Err(error) => return Some(self.refuse(reply, &error)),
        };
        let (requester, answer) = oneshot::channel();
        let (cancel, cancelled) = oneshot::channel();
        let reply_to = ReplyTo::new(requester).counting_late(self.counters.late_replies.clone());
        if let Err(refused) = self.inbox.deliver(Delivery::request(message, reply_to)) {
            self.counters.add(&self.counters.refused);
            return Some(self.refuse(reply, &refused.error));
        }
        open.insert(id, cancel);
        let (client, answered) = (self.client.clone(), self.answered.clone());
        Some(Box::pin(async move {
            let Some(answer) = waited_for(id, answer, cancelled, wait).await else { return Some(id) };
            let (headers, payload) = encoded(&answer);
            answered.put(id, &headers, &payload, wait);
            // On a closed connection nobody waits for it.
            let _ = client.publish_with_headers(reply, headers, payload).await;
            Some(id)
        }))
    }

    fn tell(&self, message: AgentMessage, reply: Option<Subject>) -> Saying {
        let id = message.id;
        if let (Some((headers, payload)), Some(reply)) = (self.answered.get(id), &reply) {
            return self.say(reply.clone(), headers, payload);
        }
        match self.inbox.deliver(Delivery::new(message)) {
            Ok(()) => {
                let headers = frame::taken();
                self.answered.put(id, &headers, &Bytes::new(), DEFAULT_REQUEST_TIMEOUT);
                match reply {
                    Some(reply) => self.say(reply, headers, Bytes::new()),
                    None => Box::pin(async { None }),
                }
            }
            Err(refused) => {
                self.counters.add(&self.counters.refused);
                match reply {
                    Some(reply) => self.refuse(reply, &refused.error),
                    None => Box::pin(async { None }),
                }
            }
        }
    }

    /// A request is not waited for any more, or its asker has lost the connection and asks who has it.
    fn signal(&self, headers: &HeaderMap, reply: Option<Subject>, open: &mut Open) -> Option<Saying> {
        match protocol::read(headers)? {
            Signal::Cancel(id) => {
                if let Some(cancel) = open.remove(&id) {
                    // A request that was answered just now needs no cancel.
                    let _ = cancel.send(());
                }
                None
            }
            Signal::WhoHas(id) => {
                let reply = reply?;
                if open.contains_key(&id) {
                    return Some(self.say(reply, protocol::held(), Bytes::new()));
                }
                let (headers, payload) = self.answered.get(id)?;
                Some(self.say(reply, headers, payload))
            }
        }
    }

    /// Gives to the other members what came for this one, which has left.
    fn pass_on(&self, message: Message) -> Saying {
        let client = self.client.clone();
        Box::pin(async move {
            let Message { subject, reply, payload, headers, .. } = message;
            let headers = headers.unwrap_or_default();
            // On a closed connection whoever sent it learns that there was no answer.
            let _ = match reply {
                Some(reply) => client.publish_with_reply_and_headers(subject, reply, headers, payload).await,
                None => client.publish_with_headers(subject, headers, payload).await,
            };
            None
        })
    }

    fn refuse(&self, reply: Subject, error: &Error) -> Saying {
        self.say(reply, frame::refusal(error), Bytes::new())
    }

    fn say(&self, reply: Subject, headers: HeaderMap, payload: Bytes) -> Saying {
        let client = self.client.clone();
        Box::pin(async move {
            // On a closed connection nobody waits for it.
            let _ = client.publish_with_headers(reply, headers, payload).await;
            None
        })
    }
}

/// The answer of a receiver; `None` where nobody waits for it any more.
async fn waited_for(
    id: MessageId,
    answer: oneshot::Receiver<Result<AgentMessage>>,
    cancelled: oneshot::Receiver<()>,
    wait: Duration,
) -> Option<Result<AgentMessage>> {
    let answer = async {
        tokio::select! {
            biased;
            answer = answer => Some(answer),
            Ok(()) = cancelled => None,
        }
    };
    match timeout(wait, answer).await {
        Ok(Some(Ok(answer))) => Some(answer),
        Ok(Some(Err(_))) => {
            Some(Err(Error::new(ErrorKind::Unavailable, "wait for reply").with_context("message", id)))
        }
        Ok(None) | Err(_) => None,
    }
}

fn encoded(answer: &Result<AgentMessage>) -> (HeaderMap, Bytes) {
    let failed = |error: &Error| (frame::refusal(error), Bytes::new());
    match answer {
        Ok(reply) => frame::encode(reply).unwrap_or_else(|error| failed(&error)),
        Err(error) => failed(error),
    }
}

/// # Errors
/// `permission_denied` for a message of another tenant, pool or topic than its subject's.
pub(super) fn read(
    channel: Channel,
    subject: &str,
    headers: &HeaderMap,
    payload: Bytes,
) -> Result<AgentMessage> {
    let message = frame::decode(headers, payload)?;
    let name = match (&message.to, channel) {
        (Destination::Agent(address), Channel::Ask | Channel::Tell) => Some(address.agent_type.as_str()),
        (Destination::Topic(topic), Channel::Topic) => Some(topic.as_str()),
        _ => None,
    };
    let mut tokens = subject.rsplit('.');
    let (last, tenant) = (tokens.next(), tokens.nth(1));
    let is_its_own = name.is_some_and(|name| last == Some(subjects::token(name).as_str()))
        && tenant == Some(subjects::token(message.tenant.as_str()).as_str());
    if is_its_own {
        return Ok(message);
    }
    Err(Error::new(ErrorKind::PermissionDenied, "deliver message")
        .with_context("subject", subject)
        .with_context("tenant", &message.tenant))
}

struct Incoming {
    channel: Channel,
    subscriber: Subscriber,
}

impl futures::Stream for Incoming {
    type Item = (Channel, Message);

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let channel = self.channel;
        self.subscriber.poll_next_unpin(context).map(|message| message.map(|message| (channel, message)))
    }
}
