//! What is said where nobody can wait: acknowledgements, and that a request is not waited for any more.

use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::dead::{DeadLetter, DeadLetters};

/// Something to be said.
#[derive(Debug)]
pub(super) enum Frame {
    /// How a delivery of a stream went.
    Acknowledge { subject: String, word: Bytes },
    /// Headers without a body.
    Tell { subject: String, headers: HeaderMap },
    /// A dead letter, whose delivery ends once it is kept.
    Bury(Box<DeadLetter>),
    /// Answered once all before it was said.
    Flush(oneshot::Sender<()>),
}

/// Takes frames without waiting. There are no more of them than deliveries and requests under way, but for
/// receivers who say *in progress* without an end.
#[derive(Clone, Debug)]
pub(super) struct Outgoing(mpsc::UnboundedSender<Frame>);

impl Outgoing {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Frame>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    pub(super) fn put(&self, frame: Frame) {
        // Once the transport is closed, nobody listens: deliveries come again by their wait.
        let _ = self.0.send(frame);
    }

    pub(super) async fn flush(&self) {
        let (sender, said) = oneshot::channel();
        self.put(Frame::Flush(sender));
        // Gone with the transport: then nothing is left to be said.
        let _ = said.await;
    }
}

/// Says what is put, in order, until every sender is gone.
pub(super) async fn speak(client: Client, dead: DeadLetters, mut frames: mpsc::UnboundedReceiver<Frame>) {
    while let Some(frame) = frames.recv().await {
        let said = match frame {
            Frame::Acknowledge { subject, word } => client.publish(subject, word).await.is_ok(),
            Frame::Tell { subject, headers } => {
                client.publish_with_headers(subject, headers, Bytes::new()).await.is_ok()
            }
            Frame::Bury(letter) => {
                let (subject, word) = dead.bury(*letter).await;
                client.publish(subject, word).await.is_ok()
            }
            Frame::Flush(sender) => {
                let flushed = client.flush().await.is_ok();
                // Who flushed may have gone.
                let _ = sender.send(());
                flushed
            }
        };
        if !said {
            tracing::debug!("a closed connection to nats takes no acknowledgement");
        }
    }
}
