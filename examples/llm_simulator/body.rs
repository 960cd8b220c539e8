//! Bodies: whole ones, and streams that send each event when it is due.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame as HttpFrame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::pace::Pace;
use crate::script::Cut;
use crate::stats::{Booking, Ending};

/// How long a connection outlives its last event before it is dropped: what is not yet written would be lost.
const LINGERS: Duration = Duration::from_millis(5);

/// A part of a body that leaves at once.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) bytes: Bytes,
    /// The output tokens that it carries; one without any leaves with the one before it.
    pub(crate) tokens: u64,
}

pub(crate) type Events = Box<dyn Iterator<Item = Event> + Send>;

pub(crate) enum Body {
    Whole(Bytes),
    Stream(Box<Stream>),
}

pub(crate) struct Stream {
    pub(crate) events: Events,
    pub(crate) pace: Pace,
    pub(crate) booking: Booking,
    pub(crate) fault: Option<(u64, Interruption)>,
    /// Where the length is told in advance.
    pub(crate) length: Option<u64>,
    pub(crate) timing: Timing,
}

#[derive(Debug, Default)]
pub(crate) struct Timing {
    next: Option<Event>,
    sleep: Option<Pin<Box<Sleep>>>,
    dropped: Option<Pin<Box<Sleep>>>,
    sent: u64,
    over: bool,
}

/// What happens after some number of events.
#[derive(Clone, Debug)]
pub(crate) enum Interruption {
    Cut(Cut),
    Stall,
    /// Goes on behind it.
    Extra(Bytes),
    /// Ends behind it.
    Last(Bytes),
}

/// The connection is to be dropped.
#[derive(Debug)]
pub(crate) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("cut by the script")
    }
}

impl std::error::Error for Dropped {}

impl Event {
    pub(crate) fn silent(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), tokens: 0 }
    }

    pub(crate) fn token(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), tokens: 1 }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<HttpFrame<Bytes>, Dropped>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(HttpFrame::data(std::mem::take(bytes))))),
            Self::Stream(stream) => stream.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.length.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Stream {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<HttpFrame<Bytes>, Dropped>>> {
        if self.timing.over {
            return Poll::Ready(None);
        }
        if self.fault.as_ref().is_some_and(|(after, _)| *after <= self.timing.sent)
            && let Some((_, interruption)) = self.fault.clone()
        {
            return self.interrupt(interruption, context);
        }
        if self.timing.sent == 0 {
            self.timing.next = self.timing.next.take().or_else(|| self.events.next());
        }
        let Some(event) = &self.timing.next else {
            self.timing.over = true;
            self.booking.end(Ending::Complete);
            return Poll::Ready(None);
        };
        if event.tokens > 0
            && let Some(due) = self.pace.due()
            && due > Instant::now()
        {
            let sleep = self.timing.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        self.pace.advance(event.tokens);
        self.booking.sent += event.tokens;
        self.send()
    }

    fn send(&mut self) -> Poll<Option<Result<HttpFrame<Bytes>, Dropped>>> {
        self.timing.sent += 1;
        let event = self.timing.next.take();
        self.timing.next = self.events.next();
        if self.timing.next.is_none() && self.fault.is_none() {
            // Before the client can ask for its bill, and may go.
            self.booking.end(Ending::Complete);
        }
        if let (Some(length), Some(event)) = (&mut self.length, &event) {
            *length = length.saturating_sub(event.bytes.len() as u64);
        }
        Poll::Ready(event.map(|event| Ok(HttpFrame::data(event.bytes))))
    }

    fn interrupt(
        &mut self,
        interruption: Interruption,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<HttpFrame<Bytes>, Dropped>>> {
        match interruption {
            Interruption::Extra(bytes) => {
                self.fault = None;
                return Poll::Ready(Some(Ok(HttpFrame::data(bytes))));
            }
            Interruption::Stall => return Poll::Pending,
            Interruption::Cut(Cut::Drop) => {
                let dropped =
                    self.timing.dropped.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGERS)));
                self.booking.end(Ending::Cut);
                ready!(dropped.as_mut().poll(context));
            }
            Interruption::Cut(Cut::End) | Interruption::Last(_) => {}
        }
        self.timing.over = true;
        self.booking.end(Ending::Cut);
        match interruption {
            Interruption::Cut(Cut::Drop) => Poll::Ready(Some(Err(Dropped))),
            Interruption::Last(bytes) => Poll::Ready(Some(Ok(HttpFrame::data(bytes)))),
            _ => Poll::Ready(None),
        }
    }
}
