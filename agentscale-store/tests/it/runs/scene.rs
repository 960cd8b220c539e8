//! Processes that share a Redis.

use std::time::Duration;

use agentscale_core::runs::{
    AppendEvents, Epoch, EventId, NewEvent, OpenRun, ReadEvents, RunId, RunItem, RunPage, RunStreamLimits,
    TurnId,
};
use agentscale_core::{AgentId, MessageId, Result, RunStreams, Tenant};
use agentscale_store::{RedisRunStreams, RedisRunStreamsConfig};

pub(crate) const EPOCH: Epoch = Epoch { incarnation: 0, counter: 1 };

pub(crate) fn namespace() -> String {
    format!("test-{}", MessageId::new(1))
}

pub(crate) fn config(limits: RunStreamLimits) -> RedisRunStreamsConfig {
    let mut config = RedisRunStreamsConfig::default();
    config.limits = limits;
    // A busy machine is no failure.
    config.wait = Duration::from_secs(10);
    config
}

pub(crate) fn process(url: &str, namespace: &str) -> RedisRunStreams {
    process_within(url, namespace, RunStreamLimits::default())
}

pub(crate) fn process_within(url: &str, namespace: &str, limits: RunStreamLimits) -> RedisRunStreams {
    RedisRunStreams::new(url, namespace, &config(limits)).expect("the configuration works")
}

pub(crate) fn run(turn: &str) -> RunId {
    let agent = AgentId::new(&Tenant::new("acme").expect("a name"), "writer", "alice").expect("names");
    RunId::new(agent, TurnId(turn.to_owned()))
}

pub(crate) fn id(number: u64) -> EventId {
    EventId::new(EPOCH, number)
}

pub(crate) async fn open(streams: &RedisRunStreams, turn: &str) -> u64 {
    streams.open(OpenRun::new(run(turn), EPOCH)).await.expect("it opens")
}

pub(crate) async fn append(streams: &RedisRunStreams, turn: &str, number: u64) -> Result<()> {
    let event = NewEvent::new("text".try_into().expect("a name"), number.to_string());
    streams.append(AppendEvents::new(run(turn), EPOCH, number, vec![event])).await
}

pub(crate) async fn read(streams: &RedisRunStreams, turn: &str, after: Option<EventId>) -> Result<RunPage> {
    streams.read(ReadEvents::new(run(turn)).after(after).with_wait(Duration::from_secs(60))).await
}

/// The numbers of events, and `None` for a gap.
pub(crate) fn numbers(items: &[RunItem]) -> Vec<Option<u64>> {
    let number = |item: &RunItem| match item {
        RunItem::Event(event) => {
            assert_eq!(event.data, event.id.number.to_string());
            Some(event.id.number)
        }
        RunItem::Gap { .. } => None,
    };
    items.iter().map(number).collect()
}

pub(crate) async fn redis(url: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("redis answers")
}

/// The keys of a namespace.
pub(crate) async fn keys(connection: &mut redis::aio::MultiplexedConnection, pattern: &str) -> Vec<String> {
    redis::cmd("KEYS").arg(pattern).query_async(connection).await.expect("redis answers")
}
