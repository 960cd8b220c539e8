use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::reply::Reply;
use super::{Call, Trouble};
use crate::answer::Answer;
use crate::body::{Body, Event, Events, Interruption, Stream, Timing};
use crate::dialect::{self, Dialect};
use crate::generate;
use crate::limits::Load;
use crate::pace::Pace;
use crate::prompt::{Prompt, Thinking};
use crate::script::{Latency, Then};
use crate::stats::Booking;
use crate::wire::Wire;

/// What is taken for the longest answer where the request names none.
const UNNAMED_OUTPUT: u64 = 16;

impl Call {
    pub(super) async fn complete(&self, wire: &dyn Wire, key: &str, body: &Bytes) -> Result<Reply, Trouble> {
        let simulator = &self.simulator;
        let mut prompt = wire.read(body)?;
        if !simulator.knows_model(&prompt.model) {
            return Err(dialect::unknown_model(self.dialect, &prompt.model).into());
        }
        let account = simulator.account(self.dialect, key, &prompt.model);
        simulator.resources.continue_from(&account.organization, &mut prompt, simulator.clock.now())?;
        self.check_length(&prompt)?;
        let fault = self.fault(key, &prompt.model, prompt.stream);
        self.befall(fault).await?;

        let now = simulator.clock.now();
        let found = simulator.prefixes.find(&account, &prompt, now);
        let load = Load {
            input: prompt.input_tokens(),
            cached: found.cached,
            most_output: prompt.max_tokens.unwrap_or(UNNAMED_OUTPUT),
        };
        let (headers, admitted) = simulator.limits.admit(&account, load, now);
        if let Err(refusal) = admitted {
            return Err(refusal.with_headers(headers).into());
        }
        let slot = self.slot().await?;
        simulator.prefixes.keep(&found, now);

        let mut answer = generate::answer(simulator.seed, &prompt, &simulator.script.answers);
        answer.usage.cached = found.cached.min(answer.usage.input);
        answer.usage.written = found.written;
        answer.usage.written_for_long = found.written_for_long;
        let mut booking = self.booking(account, key, answer.usage);
        booking.slot = slot;
        let reply = match prompt.stream {
            true => self.stream(wire, answer, &prompt, fault, booking).await,
            false => self.whole(wire, &answer, &prompt, fault, booking).await,
        };
        Ok(reply.with_headers(headers))
    }

    async fn whole(
        &self,
        wire: &dyn Wire,
        answer: &Answer,
        prompt: &Prompt,
        fault: Option<&Then>,
        mut booking: Booking,
    ) -> Reply {
        let body = Bytes::from(wire.whole(answer, prompt).to_string());
        let (mut pace, first) = self.pace(self.simulator.latency(&answer.model));
        let slow = slow(fault);
        first.await;
        pace.start(Instant::now());
        pace.advance(answer.usage.output.saturating_sub(1));
        if let Some(due) = pace.due().map(|due| due + slow).filter(|due| *due > Instant::now()) {
            tokio::time::sleep_until(due).await;
        }
        let middle = body.len() / 2;
        let interruption = interruption(wire, fault);
        let (events, fault): (Vec<Bytes>, _) = match interruption {
            None => (vec![body], None),
            Some((_, Interruption::Extra(_))) => (vec![body.slice(..middle)], None),
            Some((_, Interruption::Last(_))) => {
                let status = if let Some(Then::StreamError { status, .. }) = fault { *status } else { 500 };
                (vec![Bytes::from(dialect::stream_error(self.dialect, status).to_string())], None)
            }
            Some((_, other)) => (vec![body.slice(..middle), body.slice(middle..)], Some((1, other))),
        };
        let length = events.iter().map(|part| part.len() as u64).sum();
        // The end of a body that looks complete has no length to contradict it.
        let length =
            (!matches!(fault, Some((_, Interruption::Cut(crate::script::Cut::End))))).then_some(length);
        booking.sent = answer.usage.output;
        let events = events.into_iter().map(Event::silent);
        let stream =
            Stream { events: Box::new(events), pace, booking, fault, length, timing: Timing::default() };
        Reply::body("application/json", Body::Stream(Box::new(stream)))
    }

    async fn stream(
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
        let first = pace.before_first(latency, hidden);
        let events: Events = wire.events(answer, prompt);
        let arrival = Instant::now();
        let slow = slow(fault);
        if slow.is_zero() && !first.is_zero() {
            tokio::time::sleep_until(arrival + first).await;
        }
        if latency.tokens_per_second > 0.0 || !slow.is_zero() {
            pace.start(arrival + first + slow);
        }
        let stream = Stream {
            events,
            pace,
            booking,
            fault: interruption(wire, fault),
            length: None,
            timing: Timing::default(),
        };
        Reply::body(wire.stream_type(), Body::Stream(Box::new(stream)))
    }

    /// A place to run, where the dialect has only so many.
    async fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, Trouble> {
        let slots = self.simulator.slots.as_ref().filter(|_| self.dialect == Dialect::Ollama);
        match slots {
            None => Ok(None),
            Some(slots) => match slots.acquire().await {
                None => Err(dialect::of_status(Dialect::Ollama, 503).into()),
                slot => Ok(slot),
            },
        }
    }

    fn check_length(&self, prompt: &Prompt) -> Result<(), Trouble> {
        let limit = self.simulator.model(&prompt.model).and_then(|model| model.context_tokens);
        match limit {
            Some(limit) if prompt.input_tokens() > limit => {
                Err(dialect::too_long(self.dialect, limit, prompt.input_tokens()).into())
            }
            _ => Ok(()),
        }
    }

    /// The pace of an answer in one piece, and the wait for its first token.
    pub(super) fn pace(&self, latency: Latency) -> (Pace, impl Future<Output = ()> + use<>) {
        let mut pace = Pace::new(latency, self.simulator.seed ^ self.number);
        let first = pace.before_first(latency, 0);
        (pace, async move {
            if !first.is_zero() {
                tokio::time::sleep(first).await;
            }
        })
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
            Some((*after_events, Interruption::Extra(Bytes::from_static(wire.garbage_event().as_bytes()))))
        }
        Then::StreamError { after_events, status } => {
            let error = dialect::stream_error(wire.dialect(), *status);
            Some((*after_events, Interruption::Last(Bytes::from(wire.error_event(&error, *after_events)))))
        }
        _ => None,
    }
}
