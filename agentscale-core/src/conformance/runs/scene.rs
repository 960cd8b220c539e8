use std::sync::Arc;
use std::time::Duration;

use super::RunStreamsHarness;
use crate::runs::{
    AppendEvents, Epoch, EventId, NewEvent, OpenRun, ReadEvents, RunId, RunItem, RunPage, RunStreamLimits,
    TurnId,
};
use crate::{AgentId, Error, ErrorKind, Result, RunStreams, Tenant};

/// Waited for.
pub(super) const SHORT: Duration = Duration::from_millis(500);
/// Longer than anything takes.
pub(super) const LONG: Duration = Duration::from_secs(60);

pub(super) fn limits() -> RunStreamLimits {
    RunStreamLimits { ttl: LONG, events: 100, bytes: 10_000, event_bytes: 1_000 }
}

pub(super) async fn start(harness: &dyn RunStreamsHarness) -> Arc<dyn RunStreams> {
    harness.start(limits()).await
}

pub(super) fn run(turn: &str) -> RunId {
    run_of("acme", "writer", "alice", turn)
}

pub(super) fn run_of(tenant: &str, agent_type: &str, key: &str, turn: &str) -> RunId {
    let tenant = Tenant::new(tenant).expect("a name");
    RunId::new(AgentId::new(&tenant, agent_type, key).expect("names"), TurnId(turn.to_owned()))
}

pub(super) fn epoch(counter: u64) -> Epoch {
    Epoch { incarnation: 0, counter }
}

pub(super) fn id(counter: u64, number: u64) -> EventId {
    EventId::new(epoch(counter), number)
}

pub(super) fn event(text: &str) -> NewEvent {
    NewEvent::new("text".try_into().expect("a name"), text.to_owned())
}

/// Writes one run under one epoch.
pub(super) struct Writer {
    streams: Arc<dyn RunStreams>,
    pub(super) run: RunId,
    epoch: Epoch,
    pub(super) next: u64,
}

impl Writer {
    pub(super) async fn open(streams: &Arc<dyn RunStreams>, turn: &str, counter: u64) -> Self {
        Self::open_run(streams, run(turn), counter).await
    }

    pub(super) async fn open_run(streams: &Arc<dyn RunStreams>, run: RunId, counter: u64) -> Self {
        let epoch = epoch(counter);
        let next = streams.open(OpenRun::new(run.clone(), epoch)).await.expect("it opens");
        Self { streams: streams.clone(), run, epoch, next }
    }

    pub(super) async fn try_append(&self, events: Vec<NewEvent>) -> Result<()> {
        self.streams.append(AppendEvents::new(self.run.clone(), self.epoch, self.next, events)).await
    }

    pub(super) async fn append(&mut self, events: Vec<NewEvent>) {
        let count = events.len() as u64;
        self.try_append(events).await.expect("they are appended");
        self.next += count;
    }

    pub(super) async fn write(&mut self, texts: &[&str]) {
        self.append(texts.iter().map(|text| event(text)).collect()).await;
    }

    pub(super) async fn end(&mut self) {
        self.append(vec![event("end").ending()]).await;
    }

    pub(super) async fn renew(&self) -> Result<()> {
        self.streams.renew(&self.run, self.epoch).await
    }
}

pub(super) async fn read(streams: &dyn RunStreams, turn: &str, after: Option<EventId>) -> RunPage {
    streams.read(ReadEvents::new(run(turn)).after(after)).await.expect("it is read")
}

/// Items as they are compared: an event is its id and text.
pub(super) fn shown(items: &[RunItem]) -> Vec<(EventId, String)> {
    let show = |item: &RunItem| match item {
        RunItem::Event(event) => (event.id, String::from_utf8_lossy(&event.data).into_owned()),
        RunItem::Gap { after, until } => (*until, format!("gap after {after:?}")),
    };
    items.iter().map(show).collect()
}

pub(super) fn texts(items: &[RunItem]) -> Vec<String> {
    shown(items).into_iter().map(|(_, text)| text).collect()
}

pub(super) fn assert_kind<T: std::fmt::Debug>(answer: Result<T>, kind: ErrorKind) -> Error {
    let error = answer.expect_err("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    error
}
