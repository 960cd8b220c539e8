//! Answers on their way: each in its time, and as far as the script lets it come.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Call;
use super::reply::Reply;
use crate::answer::Answer;
use crate::body::{Body, Event, Events, Interruption, Stream, Timing};
use crate::dialect;
use crate::pace::Pace;
use crate::prompt::{Prompt, Thinking};
use crate::script::{Cut, Then};
use crate::stats::Booking;
use crate::wire::Wire;

impl Call {
    /// A body in one piece, after the time that its tokens take.
    pub(super) async fn whole(&self, body: Bytes, fault: Option<&Then>, mut booking: Booking) -> Reply {
        let output = booking.usage.output;
        let latency = self.simulator.latency(&booking.account.model);
        let mut pace = Pace::new(latency, self.simulator.seed ^ self.number);
        let first = Instant::now() + pace.before_first(latency, 0);
        pace.start(first + slow(fault));
        pace.advance(output.saturating_sub(1));
        sleep_until(pace.due()).await;

        let (half, rest) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
        let (parts, fault) = match fault {
            Some(Then::Cut { how, .. }) => (vec![half, rest], Some((1, Interruption::Cut(*how)))),
            Some(Then::Stall { .. }) => (vec![half, rest], Some((1, Interruption::Stall))),
            Some(Then::Garbage { .. }) => (vec![half], None),
            Some(Then::StreamError { status, .. }) => {
                (vec![Bytes::from(dialect::stream_error(self.dialect, *status).to_string())], None)
            }
            _ => (vec![body], None),
        };
        // A length would contradict an end that looks complete.
        let told = !matches!(fault, Some((_, Interruption::Cut(Cut::End))));
        let length = told.then(|| parts.iter().map(|part| part.len() as u64).sum());
        booking.sent = output;
        let events: Events = Box::new(parts.into_iter().map(Event::silent));
        let stream = Stream { events, pace, booking, fault, length, timing: Timing::default() };
        Reply::body("application/json", Body::Stream(Box::new(stream)))
    }

    /// The headers come with the first token, unless the script wants that to be late.
    pub(super) async fn stream(
        &self,
        wire: &dyn Wire,
        answer: Answer,
        prompt: &Prompt,
        fault: Option<&Then>,
        booking: Booking,
    ) -> Reply {
        let latency = self.simulator.latency(&answer.model);
        let hidden = if prompt.thinking == Thinking::Hidden { answer.usage.thinking } else { 0 };
        let mut pace = Pace::new(latency, self.simulator.seed ^ self.number);
        let first = Instant::now() + pace.before_first(latency, hidden);
        let events = wire.events(answer, prompt);
        let slow = slow(fault);
        if slow.is_zero() {
            sleep_until(Some(first)).await;
        }
        if latency.tokens_per_second > 0.0 || !slow.is_zero() {
            pace.start(first + slow);
        }
        let fault = interruption(wire, fault);
        let stream = Stream { events, pace, booking, fault, length: None, timing: Timing::default() };
        Reply::body(wire.stream_type(), Body::Stream(Box::new(stream)))
    }
}

/// At once where the time has come: a timer would take up to a millisecond.
async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due.filter(|due| *due > Instant::now()) {
        tokio::time::sleep_until(due).await;
    }
}

fn slow(fault: Option<&Then>) -> Duration {
    match fault {
        Some(Then::SlowFirstToken { ms }) => Duration::from_millis(*ms),
        _ => Duration::ZERO,
    }
}

fn interruption(wire: &dyn Wire, fault: Option<&Then>) -> Option<(u64, Interruption)> {
    match fault? {
        Then::Cut { after_events, how } => Some((*after_events, Interruption::Cut(*how))),
        Then::Stall { after_events } => Some((*after_events, Interruption::Stall)),
        Then::Garbage { after_events } => {
            let event = Bytes::from_static(wire.garbage_event().as_bytes());
            Some((*after_events, Interruption::Extra(event)))
        }
        Then::StreamError { after_events, status } => {
            let error = dialect::stream_error(wire.dialect(), *status);
            let event = Bytes::from(wire.error_event(&error, *after_events));
            Some((*after_events, Interruption::Last(event)))
        }
        _ => None,
    }
}
