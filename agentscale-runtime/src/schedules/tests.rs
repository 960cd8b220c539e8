use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use agentscale_core::jobs::{JobId, Maintained};
use agentscale_core::schedule::{
    Execution, HistoryQuery, ListSchedules, PutSchedule, Revision, ScheduleEvent, ScheduleInfo, ScheduleKey,
    SchedulePage, Tick,
};
use agentscale_core::transport::DirectTransport;
use agentscale_core::{AgentMessage, Destination, Error, ErrorKind, HybridClock, Tenant, Topic};
use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::*;

/// Answers as it is told, and notes what it was asked and when.
#[derive(Debug, Default)]
struct Scripted {
    /// The next answers; a tick with nothing due behind them.
    ticks: Mutex<VecDeque<Result<Tick>>>,
    ticked: Mutex<Vec<Instant>>,
    topics: Mutex<Vec<(Tenant, Topic)>>,
    /// The next answers to events; success behind them.
    refusals: Mutex<VecDeque<Error>>,
    triggered: Mutex<Vec<Vec<ScheduleEvent>>>,
    maintained: Mutex<u32>,
}

impl Scripted {
    fn next(due: Option<Duration>) -> Result<Tick> {
        Ok(Tick::new(Vec::new(), false, due))
    }

    fn answering(ticks: impl IntoIterator<Item = Result<Tick>>) -> Arc<Self> {
        Arc::new(Self { ticks: Mutex::new(ticks.into_iter().collect()), ..Self::default() })
    }

    fn waits(&self) -> Vec<Duration> {
        self.ticked.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    fn taken(&self) -> Vec<String> {
        let triggered = self.triggered.lock().unwrap();
        let text = |event: &ScheduleEvent| String::from_utf8(event.payload.to_vec()).unwrap();
        triggered.iter().flatten().map(text).collect()
    }
}

#[async_trait]
impl ScheduleStore for Scripted {
    async fn put(&self, _: PutSchedule) -> Result<ScheduleInfo> {
        unimplemented!("a scheduler stores nothing")
    }
    async fn get(&self, _: &ScheduleKey) -> Result<Option<ScheduleInfo>> {
        unimplemented!("a scheduler reads nothing")
    }
    async fn list(&self, _: ListSchedules) -> Result<SchedulePage> {
        unimplemented!("a scheduler lists nothing")
    }
    async fn pause(&self, _: &ScheduleKey) -> Result<ScheduleInfo> {
        unimplemented!("a scheduler pauses nothing")
    }
    async fn resume(&self, _: &ScheduleKey) -> Result<ScheduleInfo> {
        unimplemented!("a scheduler resumes nothing")
    }
    async fn delete(&self, _: &ScheduleKey, _: Option<Revision>) -> Result<bool> {
        unimplemented!("a scheduler deletes nothing")
    }
    async fn tick(&self, _: usize) -> Result<Tick> {
        self.ticked.lock().unwrap().push(Instant::now());
        self.ticks.lock().unwrap().pop_front().unwrap_or_else(|| Self::next(None))
    }
    async fn trigger(&self, events: Vec<ScheduleEvent>) -> Result<Vec<Vec<JobId>>> {
        if events.iter().any(|event| event.payload.starts_with(b"\"bad")) {
            return Err(Error::new(ErrorKind::TooLarge, "trigger schedules"));
        }
        if let Some(error) = self.refusals.lock().unwrap().pop_front() {
            return Err(error);
        }
        let jobs = vec![Vec::new(); events.len()];
        self.triggered.lock().unwrap().push(events);
        Ok(jobs)
    }
    async fn topics(&self, _: Option<(Tenant, Topic)>) -> Result<Vec<(Tenant, Topic)>> {
        Ok(self.topics.lock().unwrap().clone())
    }
    async fn history(&self, _: HistoryQuery) -> Result<Vec<Execution>> {
        unimplemented!("a scheduler reads no history")
    }
    async fn maintain(&self, _: usize) -> Result<Maintained> {
        *self.maintained.lock().unwrap() += 1;
        Ok(Maintained::default())
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn orders() -> (Tenant, Topic) {
    (Tenant::new("acme").unwrap(), Topic::new("orders").unwrap())
}

fn event(body: &str) -> AgentMessage {
    let (tenant, topic) = orders();
    AgentMessage::event(tenant, Destination::Topic(topic), body.to_owned(), HybridClock::new(1).stamp(1))
}

/// A scheduler whose subscriptions are there.
async fn on(store: &Arc<Scripted>, transport: &Arc<DirectTransport>) -> RunningScheduler {
    *store.topics.lock().unwrap() = vec![orders()];
    let scheduler = Scheduler::new(store.clone()).with_transport(transport.clone()).start().unwrap();
    sleep(Duration::from_millis(10)).await;
    scheduler
}

#[tokio::test(start_paused = true)]
async fn it_ticks_when_something_is_due_and_about_once_a_second_otherwise() {
    let due = |millis| Scripted::next(Some(Duration::from_millis(millis)));
    let store = Scripted::answering([Ok(Tick::new(Vec::new(), true, None)), due(300), due(60_000)]);
    let scheduler = Scheduler::new(store.clone()).start().unwrap();
    sleep(SECOND * 10).await;
    scheduler.close().await;
    let waits = store.waits();
    assert!(waits[0] <= Duration::from_millis(1), "{waits:?}");
    assert!(waits[1] >= Duration::from_millis(300) && waits[1] <= Duration::from_millis(352), "{waits:?}");
    assert!(waits[2..].iter().all(|wait| *wait >= SECOND / 2 && *wait <= SECOND * 101 / 100), "{waits:?}");
    assert_eq!(*store.maintained.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_asked_less_and_less_until_it_answers() {
    let down = || Err(Error::new(ErrorKind::Unavailable, "fire schedules"));
    let store = Scripted::answering((0..8).map(|_| down()));
    let scheduler = Scheduler::new(store.clone()).start().unwrap();
    sleep(SECOND * 300).await;
    let waits = store.waits();
    assert!(waits[1] >= SECOND * 2 && waits[7] >= SECOND * 15 && waits[7] <= SECOND * 31, "{waits:?}");
    assert!(waits[8] <= SECOND * 101 / 100, "{waits:?}");
    let stats = scheduler.stats();
    assert_eq!((stats.failures, stats.ticks + 8), (8, store.ticked.lock().unwrap().len() as u64));
    drop(scheduler);
}

#[tokio::test(start_paused = true)]
async fn it_stops_with_its_owner() {
    let (store, transport) = (Arc::<Scripted>::default(), Arc::new(DirectTransport::default()));
    let scheduler = on(&store, &transport).await;
    drop(scheduler);
    sleep(SECOND * 10).await;
    assert_eq!(Arc::strong_count(&store), 1);
    let scheduler = on(&store, &transport).await;
    scheduler.close().await;
    assert_eq!((Arc::strong_count(&store), Arc::strong_count(&transport)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_cannot_work_is_refused_by_its_field() {
    let store = Arc::<Scripted>::default();
    let configs = [
        ("tick", SchedulerConfig { tick: Duration::ZERO, ..SchedulerConfig::default() }),
        ("topics", SchedulerConfig { topics: Duration::ZERO, ..SchedulerConfig::default() }),
        ("maintenance", SchedulerConfig { maintenance: Duration::ZERO, ..SchedulerConfig::default() }),
        ("batch", SchedulerConfig { batch: 0, ..SchedulerConfig::default() }),
        ("batch", SchedulerConfig { batch: 1_001, ..SchedulerConfig::default() }),
        ("waiting_events", SchedulerConfig { waiting_events: 0, ..SchedulerConfig::default() }),
    ];
    for (field, config) in configs {
        let error = Scheduler::new(store.clone()).with_config(config).start().unwrap_err();
        assert_eq!((error.kind(), error.context("field")), (ErrorKind::InvalidInput, Some(field)));
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_the_topics_that_are_waited_for_reach_the_store_in_batches() {
    let (store, transport) = (Arc::<Scripted>::default(), Arc::new(DirectTransport::default()));
    let scheduler = on(&store, &transport).await;
    for number in 0..600 {
        transport.publish(event(&number.to_string())).await.unwrap();
    }
    sleep(SECOND).await;
    let expected: Vec<_> = (0..600).map(|number| format!("\"{number}\"")).collect();
    assert_eq!((store.taken(), scheduler.stats().events), (expected, 600));
    assert!(store.triggered.lock().unwrap().len() < 600);
    // A topic that nobody waits for any more is left.
    store.topics.lock().unwrap().clear();
    sleep(SECOND * 6).await;
    transport.publish(event("late")).await.unwrap();
    sleep(SECOND).await;
    assert_eq!(scheduler.stats().events, 600);
    scheduler.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_comes_again_until_its_jobs_are_enqueued() {
    let (store, transport) = (Arc::<Scripted>::default(), Arc::new(DirectTransport::default()));
    let scheduler = on(&store, &transport).await;
    let down = || Error::new(ErrorKind::Unavailable, "trigger schedules");
    store.refusals.lock().unwrap().extend([down(), down()]);
    transport.publish(event("one")).await.unwrap();
    sleep(SECOND * 60).await;
    assert_eq!(store.taken(), ["\"one\""]);
    assert_eq!((scheduler.stats().failures, scheduler.stats().dead_events), (2, 0));
    scheduler.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_can_have_no_job_stands_in_nobodys_way() {
    let (store, transport) = (Arc::<Scripted>::default(), Arc::new(DirectTransport::default()));
    let scheduler = on(&store, &transport).await;
    for body in ["one", "bad", "two"] {
        transport.publish(event(body)).await.unwrap();
    }
    sleep(SECOND * 60).await;
    assert_eq!(store.taken(), ["\"one\"", "\"two\""]);
    let stats = scheduler.stats();
    assert_eq!((stats.events, stats.dead_events, stats.failures), (2, 1, 0));
    scheduler.close().await;
}
