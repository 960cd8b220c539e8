//! What was sent and waits for an answer: every answer comes to one inbox and finds its asker by number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{Client, HeaderMap, Message, StatusCode};
use futures::StreamExt;
use tokio::sync::{oneshot, watch};

use super::counters::Counters;
use super::fault::fault;
use super::frame::{self, Answer};
use super::outgoing::{Frame, Outgoing};
use crate::{Error, ErrorKind, Result};

/// The askers of one connection.
#[derive(Debug)]
pub(super) struct Asked {
    inbox: String,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Message>>>,
    /// Changes with each connection after the first one.
    reconnected: watch::Receiver<u64>,
}

impl Asked {
    /// The askers of a connection, and the task that hands answers to them until it closes.
    pub(super) async fn open(
        client: &Client,
        counters: Arc<Counters>,
        reconnected: watch::Receiver<u64>,
    ) -> Result<(Arc<Self>, impl Future<Output = ()> + use<>)> {
        let inbox = client.new_inbox();
        let subject = format!("{inbox}.*");
        let mut answers = client.subscribe(subject).await.map_err(fault("subscribe to answers"))?;
        let asked = Arc::new(Self { inbox, next: AtomicU64::new(1), waiting: Mutex::default(), reconnected });
        let shared = asked.clone();
        let read = async move {
            while let Some(message) = answers.next().await {
                let number = message.subject.rsplit('.').next().and_then(|number| number.parse().ok());
                let asker = number.and_then(|number: u64| shared.waiting().remove(&number));
                let is_reply = message.status.is_none();
                if asker.is_none_or(|asker| asker.send(message).is_err()) && is_reply {
                    counters.add(&counters.late_replies);
                }
            }
        };
        Ok((asked, read))
    }

    /// A number for an answer, until the asker is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Asker {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(number, sender);
        let mut reconnected = self.reconnected.clone();
        reconnected.mark_unchanged();
        Asker { asked: self.clone(), number, answer, reconnected, cancel: None }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Message>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for one answer.
#[derive(Debug)]
pub(super) struct Asker {
    asked: Arc<Asked>,
    number: u64,
    answer: oneshot::Receiver<Message>,
    reconnected: watch::Receiver<u64>,
    /// Where it is said that nobody waits any more.
    cancel: Option<(Outgoing, String, HeaderMap)>,
}

impl Asker {
    /// Where the answer is to go.
    pub(super) fn reply_to(&self) -> String {
        format!("{}.{}", self.asked.inbox, self.number)
    }

    /// Says so by `subject` where this is dropped without an answer.
    pub(super) fn cancelling(&mut self, outgoing: Outgoing, subject: String, headers: HeaderMap) {
        self.cancel = Some((outgoing, subject, headers));
    }

    /// Waits for another answer under the same number.
    pub(super) fn again(&mut self) {
        let (sender, answer) = oneshot::channel();
        self.asked.waiting().insert(self.number, sender);
        self.answer = answer;
    }

    /// Waits for the answer, or until the connection was lost and is back.
    ///
    /// # Cancel safety
    /// A dropped future loses nothing: the next one waits on.
    pub(super) async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            answer = &mut self.answer => {
                let answer = answer.map_err(|_| closed()).and_then(read);
                if !matches!(answer, Ok(Answer::Held)) {
                    self.cancel = None;
                }
                Next::Answer(answer)
            }
            Ok(()) = self.reconnected.changed() => Next::Reconnected,
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.asked.waiting().remove(&self.number);
        if let Some((outgoing, subject, headers)) = self.cancel.take() {
            outgoing.put(Frame::Tell { subject, headers });
        }
    }
}

/// What an asker has waited for.
pub(super) enum Next {
    /// The answer; `not_found` where nobody listens.
    Answer(Result<Answer>),
    /// What was sent may be lost, and its answer too.
    Reconnected,
}

fn read(message: Message) -> Result<Answer> {
    match message.status {
        None => frame::answer(message.headers.as_ref(), message.payload),
        Some(StatusCode::NO_RESPONDERS) => Err(Error::new(ErrorKind::NotFound, "send message")),
        Some(status) => {
            Err(Error::new(ErrorKind::Unavailable, "send message").with_context("status", status.as_u16()))
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "wait for reply").with_context("reason", "closed")
}
