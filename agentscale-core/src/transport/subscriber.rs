use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Attachment, Delivery, Inbox, MailboxLimits, Refused, Subscription, Transport};
use crate::{Error, ErrorKind, Result};

/// Conveniences over every [`Transport`].
pub trait TransportExt: Transport {
    /// Subscribes with a bounded mailbox to read from.
    ///
    /// # Errors
    /// As for [`Transport::attach`].
    fn subscribe(
        &self,
        subscription: Subscription,
        limits: MailboxLimits,
    ) -> impl Future<Output = Result<Subscriber>> + Send {
        async move {
            let mailbox = Arc::new(Mailbox { limits, queue: Mutex::default(), arrived: Notify::new() });
            let attachment = self.attach(subscription, mailbox.clone()).await?;
            Ok(Subscriber { mailbox, attachment: Some(attachment) })
        }
    }
}

impl<T: Transport + ?Sized> TransportExt for T {}

/// Reads the deliveries of a subscription. One reader: the methods take `&mut self`.
///
/// Dropping it ends the subscription and drops what was not read: requests end as `unavailable`, deliveries that wait
/// for an acknowledgement come again to others. [`Subscriber::close`] gives it back instead.
#[derive(Debug)]
pub struct Subscriber {
    mailbox: Arc<Mailbox>,
    attachment: Option<Attachment>,
}

impl Subscriber {
    /// The next delivery.
    ///
    /// # Cancel safety
    /// A dropped future loses no delivery.
    pub async fn next(&mut self) -> Delivery {
        loop {
            if let Some(delivery) = self.try_next() {
                return delivery;
            }
            self.mailbox.arrived.notified().await;
        }
    }

    /// The next delivery, if there is one.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.mailbox.take()
    }

    /// Ends the subscription; what was not read comes back, oldest first.
    pub fn close(mut self) -> Vec<Delivery> {
        self.end()
    }

    /// Detaches first, so that what the mailbox refuses from now on goes to others.
    fn end(&mut self) -> Vec<Delivery> {
        self.attachment = None;
        let mut queue = self.mailbox.queue();
        queue.closed = true;
        queue.bytes = 0;
        std::mem::take(&mut queue.deliveries).into()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug)]
struct Mailbox {
    limits: MailboxLimits,
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    closed: bool,
}

impl Mailbox {
    fn take(&self) -> Option<Delivery> {
        let mut queue = self.queue();
        let delivery = queue.deliveries.pop_front()?;
        queue.bytes -= delivery.size_hint();
        Some(delivery)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for Mailbox {
    fn deliver(&self, delivery: Delivery) -> Result<(), Refused> {
        let bytes = delivery.size_hint();
        let delivery = delivery.with_size_hint(bytes);
        let refuse = |kind| Error::new(kind, "deliver to subscriber").with_context("bytes", bytes);
        if bytes > self.limits.bytes {
            let error = refuse(ErrorKind::TooLarge).with_context("limit", self.limits.bytes);
            return Err(Refused::new(delivery, error));
        }
        let mut queue = self.queue();
        if queue.closed {
            return Err(Refused::new(delivery, refuse(ErrorKind::Unavailable)));
        }
        if !self.limits.admit(queue.deliveries.len(), queue.bytes, bytes) {
            let error = refuse(ErrorKind::Overloaded)
                .with_context("held_messages", queue.deliveries.len())
                .with_context("held_bytes", queue.bytes);
            return Err(Refused::new(delivery, error));
        }
        queue.bytes += bytes;
        queue.deliveries.push_back(delivery);
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }
}
