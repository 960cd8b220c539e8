//! Streams in the process keep the promises of `RunStreams`, and their bounds over all of them.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::conformance::runs::RunStreamsHarness;
use agentscale_core::runs::{
    AppendEvents, Epoch, EventId, InProcessRunStreams, InProcessRunStreamsConfig, NewEvent, OpenRun,
    ReadEvents, RunId, RunItem, RunStreamLimits, TurnId,
};
use agentscale_core::{AgentId, ErrorKind, RunStreams, Tenant};
use async_trait::async_trait;

struct InProcess(fn(InProcessRunStreams) -> Arc<dyn RunStreams>);

#[async_trait]
impl RunStreamsHarness for InProcess {
    async fn start(&self, limits: RunStreamLimits) -> Arc<dyn RunStreams> {
        let mut config = InProcessRunStreamsConfig::default();
        config.limits = limits;
        (self.0)(InProcessRunStreams::new(config).expect("the limits work"))
    }

    fn paused(&self) -> bool {
        true
    }
}

mod in_process {
    use super::{Arc, InProcess};

    agentscale_core::run_streams_conformance!(InProcess(|streams| Arc::new(streams)));
}

mod forwarded {
    use super::{Arc, InProcess, RunStreams};

    agentscale_core::run_streams_conformance!(InProcess(|streams| {
        let boxed: Box<dyn RunStreams> = Box::new(streams);
        let shared: Arc<dyn RunStreams> = Arc::new(boxed);
        Arc::new(shared)
    }));
}

const EPOCH: Epoch = Epoch { incarnation: 0, counter: 1 };

fn run(number: usize) -> RunId {
    let agent = AgentId::new(&Tenant::new("acme").expect("a name"), "writer", "alice").expect("names");
    RunId::new(agent, TurnId(number.to_string()))
}

async fn append(streams: &InProcessRunStreams, number: usize, first: u64, bytes: usize) {
    let event = NewEvent::new("text".try_into().expect("a name"), vec![b'x'; bytes]);
    streams.append(AppendEvents::new(run(number), EPOCH, first, vec![event])).await.expect("it is appended");
}

async fn kind(streams: &InProcessRunStreams, number: usize) -> Option<ErrorKind> {
    streams.read(ReadEvents::new(run(number))).await.err().map(|error| error.kind())
}

#[tokio::test(start_paused = true)]
async fn the_stream_with_the_least_time_left_makes_room_for_one_too_many() {
    let mut config = InProcessRunStreamsConfig::default();
    config.streams = 3;
    let streams = InProcessRunStreams::new(config).unwrap();
    for number in 0..3 {
        append(&streams, number, 1, 10).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // The oldest is alive, so that the second has the least time.
    streams.renew(&run(0), EPOCH).await.unwrap();
    append(&streams, 3, 1, 10).await;
    assert_eq!([kind(&streams, 0).await, kind(&streams, 1).await], [None, Some(ErrorKind::NotFound)]);
    assert_eq!((streams.stats().streams, streams.stats().evicted), (3, 1));
    // Its owner goes on, and its reader learns of it.
    append(&streams, 1, 2, 10).await;
    let page = streams.read(ReadEvents::new(run(1))).await.unwrap();
    assert_eq!(page.items[0], RunItem::Gap { after: None, until: EventId::new(EPOCH, 1) });
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_all_streams_stay_within_their_bound() {
    let mut config = InProcessRunStreamsConfig::default();
    config.bytes = 100_000;
    let streams = InProcessRunStreams::new(config).unwrap();
    for number in 0..1_000 {
        append(&streams, number, 1, number % 5_000).await;
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(streams.stats().bytes <= 100_000, "{:?}", streams.stats());
    }
    let stats = streams.stats();
    assert!(stats.streams > 50 && stats.evicted == 1_000 - stats.streams as u64, "{stats:?}");
    tokio::time::advance(Duration::from_secs(600)).await;
    let empty = streams.stats();
    assert_eq!((empty.streams, empty.bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_streams_stand_beside_each_other() {
    let streams = InProcessRunStreams::default();
    for number in 0..10_000 {
        assert_eq!(streams.open(OpenRun::new(run(number), EPOCH)).await.unwrap(), 1);
        append(&streams, number, 1, 100).await;
    }
    let stats = streams.stats();
    assert_eq!((stats.streams, stats.evicted, stats.trimmed), (10_000, 0, 0));
    assert_eq!(kind(&streams, 0).await, None);
}

#[test]
fn limits_that_cannot_work_are_refused_by_field() {
    let refused = |change: fn(&mut InProcessRunStreamsConfig)| {
        let mut config = InProcessRunStreamsConfig::default();
        change(&mut config);
        let error = InProcessRunStreams::new(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.context("field").unwrap().to_owned()
    };
    assert_eq!(refused(|config| config.streams = 0), "streams");
    assert_eq!(refused(|config| config.limits.ttl = Duration::ZERO), "ttl");
    assert_eq!(refused(|config| config.limits.events = 0), "events");
    assert_eq!(refused(|config| config.limits.event_bytes = (1 << 20) + 1), "event_bytes");
}
