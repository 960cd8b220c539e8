//! The log before a store that is slow, gone, picky or stuck: what is written when, and what is told of the rest.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::observe::{FieldValue, Observation, ObservationLevel, Observer as _};
use agentscale_core::time::ManualClock;
use agentscale_core::{Error, ErrorKind, Result};
use agentscale_store::ObservationLog;
use agentscale_store::observations::{
    ObservationLogConfig, ObservationMaintenance, ObservationPage, ObservationQuery, ObservationRecord,
    ObservationStore,
};
use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::scene::{number, numbered};

/// Keeps batches in memory, as the test wants it.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) batches: Mutex<Vec<Vec<ObservationRecord>>>,
    /// Refuses all as unavailable.
    pub(crate) is_down: AtomicBool,
    /// Never answers.
    pub(crate) is_stuck: AtomicBool,
    /// Refuses all for good.
    pub(crate) is_broken: AtomicBool,
    pub(crate) calls: AtomicUsize,
}

#[async_trait]
impl ObservationStore for Script {
    async fn append(&self, batch: &[ObservationRecord]) -> Result<()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.is_stuck.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.is_down.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "append"));
        }
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Internal, "append"));
        }
        if batch.iter().any(|record| record.observation.name == "poison") {
            return Err(Error::new(ErrorKind::InvalidInput, "append"));
        }
        self.batches.lock().expect("no test panics here").push(batch.to_vec());
        Ok(())
    }

    async fn query(&self, _: &ObservationQuery) -> Result<ObservationPage> {
        Ok(ObservationPage::default())
    }

    async fn maintain(&self, _: u64) -> Result<ObservationMaintenance> {
        Ok(ObservationMaintenance::default())
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl Script {
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.batches.lock().expect("no test panics here").iter().map(Vec::len).collect()
    }

    /// All that was written, and how many of a level were told to be dropped.
    pub(crate) fn written(&self) -> (Vec<u64>, [u64; 4]) {
        let batches = self.batches.lock().expect("no test panics here");
        let mut dropped = [0; 4];
        let mut numbers = Vec::new();
        for record in batches.iter().flatten() {
            match &*record.observation.name {
                "dropped" => {
                    let (n, level) = report(&record.observation);
                    dropped[level as usize] += n;
                }
                _ => numbers.push(number(&record.observation)),
            }
        }
        (numbers, dropped)
    }
}

/// The fields of a report.
pub(crate) fn report(observation: &Observation) -> (u64, ObservationLevel) {
    let [(n_name, FieldValue::Integer(n)), (level_name, FieldValue::Text(level))] = &observation.fields[..]
    else {
        panic!("a report has two fields: {observation:?}")
    };
    assert_eq!((&**n_name, &**level_name, &observation.tenant), ("n", "level", &None));
    let level = ObservationLevel::ALL.into_iter().find(|one| one.as_str() == level);
    (n.cast_unsigned(), level.expect("a level"))
}

pub(crate) fn open(store: &Arc<Script>, config: &ObservationLogConfig) -> ObservationLog {
    ObservationLog::new(store.clone(), config, Arc::new(ManualClock::default()))
}

pub(crate) fn emit(log: &ObservationLog, level: ObservationLevel, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| log.emit(numbered(level, number)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_written_at_once_and_a_single_observation_within_a_second() {
    let store = Arc::<Script>::default();
    let log = open(&store, &ObservationLogConfig::default());
    let began = Instant::now();
    emit(&log, ObservationLevel::Info, 0..99);
    sleep(Duration::from_millis(900)).await;
    assert!(store.sizes().is_empty());
    emit(&log, ObservationLevel::Info, 99..100);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(store.sizes(), [100]);
    emit(&log, ObservationLevel::Info, 100..101);
    while store.sizes().len() < 2 {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(began.elapsed() <= Duration::from_millis(1_920), "{:?}", began.elapsed());
    assert_eq!(store.written().0, (0..101).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_buffer_when_the_log_closes_or_is_dropped_is_written() {
    let store = Arc::<Script>::default();
    let log = open(&store, &ObservationLogConfig::default());
    emit(&log, ObservationLevel::Debug, 0..1_234);
    log.close().await.unwrap();
    assert_eq!(store.written().0.len(), 1_234);
    emit(&log, ObservationLevel::Debug, 0..3);
    assert_eq!((log.stats().dropped.total(), log.stats().written), (3, 1_234));
    assert_eq!(log.flush().await.unwrap_err().kind(), ErrorKind::Unavailable);
    log.close().await.unwrap();

    let log = open(&store, &ObservationLogConfig::default());
    emit(&log, ObservationLevel::Debug, 2_000..2_005);
    drop(log);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(store.written().0.len(), 1_239);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_has_all_that_the_bound_held_and_is_told_of_the_rest() {
    let store = Arc::<Script>::default();
    store.is_down.store(true, Ordering::Relaxed);
    let mut config = ObservationLogConfig::default();
    config.capacity = 1_000;
    let log = open(&store, &config);
    emit(&log, ObservationLevel::Info, 0..100);
    sleep(Duration::from_secs(2)).await;
    // A hundred are in hand; of these a thousand find room.
    emit(&log, ObservationLevel::Debug, 100..1_600);
    sleep(Duration::from_secs(60)).await;
    assert!(store.calls.load(Ordering::Relaxed) > 50, "it is tried again and again");
    store.is_down.store(false, Ordering::Relaxed);
    log.flush().await.unwrap();
    let (numbers, dropped) = store.written();
    assert_eq!(numbers, (0..100).chain(600..1_600).collect::<Vec<_>>(), "the newest are kept");
    assert_eq!(dropped, [500, 0, 0, 0]);
    assert_eq!(log.stats().dropped.of(ObservationLevel::Debug), 500);
    let keys: Vec<_> =
        store.batches.lock().unwrap().iter().flatten().map(|one| (one.writer, one.number)).collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "each has a number of its own");
}

#[tokio::test(start_paused = true)]
async fn closing_ends_in_its_time_though_the_store_does_not_answer_and_counts_what_is_lost() {
    for is_stuck in [true, false] {
        let store = Arc::<Script>::default();
        store.is_stuck.store(is_stuck, Ordering::Relaxed);
        store.is_down.store(!is_stuck, Ordering::Relaxed);
        let log = open(&store, &ObservationLogConfig::default());
        emit(&log, ObservationLevel::Info, 0..250);
        emit(&log, ObservationLevel::Error, 250..260);
        sleep(Duration::from_secs(3)).await;
        let began = Instant::now();
        let error = log.close().await.unwrap_err();
        assert_eq!((error.kind(), error.context("lost")), (ErrorKind::Unavailable, Some("260")));
        assert!(began.elapsed() <= Duration::from_secs(11));
        let dropped = log.stats().dropped;
        let counts = ObservationLevel::ALL.map(|level| dropped.of(level));
        assert_eq!((counts, log.stats().waiting), ([0, 250, 0, 10], 0));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_the_store_refuses_is_dropped_alone_and_counted() {
    let store = Arc::<Script>::default();
    let log = open(&store, &ObservationLogConfig::default());
    for number in 0..100 {
        let mut observation = numbered(ObservationLevel::Info, number);
        if number % 40 == 7 {
            observation.name = "poison".into();
        }
        log.emit(observation);
    }
    log.flush().await.unwrap();
    log.close().await.unwrap();
    let (mut numbers, dropped) = store.written();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).filter(|number| number % 40 != 7).collect::<Vec<_>>());
    assert_eq!((dropped, log.stats().dropped.total()), ([0, 3, 0, 0], 3));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_all_does_not_keep_the_log_busy_and_is_told_when_it_is_well() {
    let store = Arc::<Script>::default();
    store.is_broken.store(true, Ordering::Relaxed);
    let log = open(&store, &ObservationLogConfig::default());
    emit(&log, ObservationLevel::Info, 0..100);
    sleep(Duration::from_secs(30)).await;
    let calls = store.calls.load(Ordering::Relaxed);
    assert!(calls <= 35, "{calls} calls within 30 seconds");
    assert_eq!(log.stats().dropped.total(), 100, "reports are not counted");
    store.is_broken.store(false, Ordering::Relaxed);
    log.close().await.unwrap();
    assert_eq!(store.written(), (vec![], [0, 100, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn an_observation_that_is_too_long_is_cut_and_marked() {
    let store = Arc::<Script>::default();
    let log = open(&store, &ObservationLogConfig::default());
    let mut huge = numbered(ObservationLevel::Info, 0);
    huge.fields.extend((0..1_000).map(|_| ("n".repeat(5_000).into(), "v".repeat(5_000).into())));
    log.emit(huge);
    log.close().await.unwrap();
    let batches = store.batches.lock().unwrap();
    let kept = &batches[0][0].observation;
    assert!(kept.truncated && kept.size_hint() < 16_384, "{} bytes", kept.size_hint());
}
