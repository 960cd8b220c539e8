//! Sending: what is said, and what comes back.

use std::time::Duration;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::asked::{Asker, Next};
use super::fault::fault;
use super::frame::{self, Answer};
use super::protocol::{self, Signal};
use crate::transport::DEFAULT_REQUEST_TIMEOUT;
use crate::{Address, AgentMessage, Destination, Error, ErrorKind, Result};

/// How long members have to say that they hold a request, after a connection came back.
const WHO_HAS: Duration = Duration::from_millis(500);

/// A message as it goes out, as often as it must.
struct Letter {
    subject: String,
    /// Where the members of the pool hear of it.
    signals: String,
    headers: HeaderMap,
    payload: Bytes,
    message: crate::MessageId,
}

impl Shared {
    pub(super) async fn send(&self, message: AgentMessage) -> Result<()> {
        let (address, wait) = (agent(&message)?, self.time_left(&message)?);
        let subject = self.subjects.tell(&message.tenant, &address.agent_type);
        let mut letter = self.letter(&message, address, subject)?;
        // A stream keeps one of two with the same id.
        letter.headers.insert("Nats-Msg-Id", message.id.to_string());
        let mut asker = self.asked.begin();
        match self.converse(&mut asker, &letter, wait).await? {
            Answer::Reply(answer) => answer.map(drop),
            Answer::Taken | Answer::Held => Ok(()),
        }
    }

    pub(super) async fn request(&self, message: AgentMessage) -> Result<AgentMessage> {
        let (address, wait) = (agent(&message)?, self.time_left(&message)?);
        let subject = self.subjects.ask(&message.tenant, &address.agent_type);
        let letter = self.letter(&message, address, subject)?;
        let mut asker = self.asked.begin();
        let cancel = protocol::write(Signal::Cancel(message.id));
        asker.cancelling(self.outgoing.clone(), letter.signals.clone(), cancel);
        match self.converse(&mut asker, &letter, wait).await? {
            Answer::Reply(reply) => *reply,
            Answer::Taken | Answer::Held => Err(Error::new(ErrorKind::Corrupt, "wait for reply")
                .with_context("message", letter.message)
                .with_context("reason", "the answer is no reply")),
        }
    }

    pub(super) async fn publish(&self, message: AgentMessage) -> Result<()> {
        let wait = self.time_left(&message)?;
        let Destination::Topic(topic) = &message.to else {
            return Err(Error::new(ErrorKind::InvalidInput, "publish message")
                .with_context("reason", "goes to no topic"));
        };
        let subject = self.subjects.topic(&message.tenant, topic);
        let (mut headers, payload) = self.encoded(&message)?;
        let exceeded = || Error::new(ErrorKind::DeadlineExceeded, "publish message");
        let publish = async {
            if !self.is_kept(&subject).await {
                let published = self.client.publish_with_headers(subject, headers, payload).await;
                return published.map_err(fault("publish message"));
            }
            headers.insert("Nats-Msg-Id", message.id.to_string());
            let published = self.jetstream.publish_with_headers(subject, headers, payload).await;
            let kept = published.map_err(fault("publish message"))?.await;
            kept.map(drop).map_err(fault("publish message"))
        };
        timeout(wait, publish).await.map_err(|_| exceeded())?
    }

    /// Sends until there is an answer, or `wait` is over.
    async fn converse(&self, asker: &mut Asker, letter: &Letter, wait: Duration) -> Result<Answer> {
        let end = Instant::now() + wait;
        let exceeded = |_| {
            Error::new(ErrorKind::DeadlineExceeded, "wait for reply").with_context("message", letter.message)
        };
        let converse = async {
            self.post(asker, letter).await?;
            loop {
                match asker.next().await {
                    Next::Answer(answer) => match answer? {
                        Answer::Held => asker.again(),
                        answer => return Ok(answer),
                    },
                    Next::Reconnected => {
                        if let Some(answer) = self.find(asker, letter).await? {
                            return Ok(answer);
                        }
                    }
                }
            }
        };
        timeout_at(end, converse).await.map_err(exceeded)?
    }

    /// Asks who has what was sent, after the connection was lost; sends it again where nobody has it.
    async fn find(&self, asker: &mut Asker, letter: &Letter) -> Result<Option<Answer>> {
        let headers = protocol::write(Signal::WhoHas(letter.message));
        let reply_to = asker.reply_to();
        self.client
            .publish_with_reply_and_headers(letter.signals.clone(), reply_to, headers, Bytes::new())
            .await
            .map_err(fault("send message"))?;
        match timeout(WHO_HAS, asker.next()).await {
            Ok(Next::Answer(Ok(Answer::Held))) => {
                asker.again();
                Ok(None)
            }
            Ok(Next::Answer(Ok(answer))) => Ok(Some(answer)),
            // Nobody listens, or nobody has it.
            Ok(Next::Answer(Err(error))) if error.kind() == ErrorKind::NotFound => {
                asker.again();
                self.post(asker, letter).await.map(|()| None)
            }
            Ok(Next::Answer(Err(error))) => Err(error),
            Ok(Next::Reconnected) | Err(_) => self.post(asker, letter).await.map(|()| None),
        }
    }

    async fn post(&self, asker: &Asker, letter: &Letter) -> Result<()> {
        let Letter { subject, headers, payload, .. } = letter;
        self.client
            .publish_with_reply_and_headers(
                subject.clone(),
                asker.reply_to(),
                headers.clone(),
                payload.clone(),
            )
            .await
            .map_err(fault("send message"))
    }

    fn letter(&self, message: &AgentMessage, address: &Address, subject: String) -> Result<Letter> {
        let (headers, payload) = self.encoded(message)?;
        let signals = self.subjects.cancel(&message.tenant, &address.agent_type);
        Ok(Letter { subject, signals, headers, payload, message: message.id })
    }

    fn encoded(&self, message: &AgentMessage) -> Result<(HeaderMap, Bytes)> {
        let (headers, payload) = frame::encode(message)?;
        // A line of the head is `name: value` and its end.
        let line = |(name, values): (&HeaderName, &Vec<HeaderValue>)| -> usize {
            let name: &str = name.as_ref();
            values.iter().map(|value| name.len() + value.as_str().len() + 4).sum()
        };
        let bytes = headers.iter().map(line).sum::<usize>() + payload.len();
        let limit = self.config.max_message_bytes.min(self.client.max_payload());
        if bytes > limit {
            return Err(Error::new(ErrorKind::TooLarge, "send message")
                .with_context("bytes", bytes)
                .with_context("limit", limit));
        }
        Ok((headers, payload))
    }

    fn time_left(&self, message: &AgentMessage) -> Result<Duration> {
        message.time_left(self.clock.unix_micros(), DEFAULT_REQUEST_TIMEOUT)
    }

    /// Whether a stream keeps what goes by this subject.
    async fn is_kept(&self, subject: &str) -> bool {
        if let Some(kept) = self.kept.get(subject) {
            return kept;
        }
        // A server that cannot say so has no streams, or none that can be reached: then it keeps nothing.
        let kept = self.jetstream.stream_by_subject(subject).await.is_ok();
        self.kept.insert(subject.to_owned(), kept);
        kept
    }
}

fn agent(message: &AgentMessage) -> Result<&Address> {
    match &message.to {
        Destination::Agent(address) => Ok(address),
        _ => {
            Err(Error::new(ErrorKind::InvalidInput, "send message")
                .with_context("reason", "goes to no agent"))
        }
    }
}
