//! What is dropped when there is no room: the least first, the oldest of these first, and every one is counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agentscale_core::observe::{ObservationLevel, Observer as _};
use agentscale_store::observations::ObservationLogConfig;
use tokio::time::sleep;

use super::log::{Script, emit, open};
use super::scene::numbered;

#[tokio::test(start_paused = true)]
async fn debug_goes_before_info_and_info_before_warnings_and_what_is_told_adds_up() {
    let store = Arc::<Script>::default();
    store.is_stuck.store(true, Ordering::Relaxed);
    let mut config = ObservationLogConfig::default();
    config.capacity = 400;
    let log = open(&store, &config);
    for (count, level) in ObservationLevel::ALL.into_iter().enumerate() {
        let first = count as u64 * 1_000;
        emit(&log, level, first..first + 150);
    }
    // 600 for 400: all debug and 50 of info.
    let counts = || ObservationLevel::ALL.map(|level| log.stats().dropped.of(level));
    assert_eq!(counts(), [150, 50, 0, 0]);
    emit(&log, ObservationLevel::Debug, 0..5);
    assert_eq!(counts(), [155, 50, 0, 0], "what matters less than all that is held has no room");
    emit(&log, ObservationLevel::Error, 4_000..4_120);
    assert_eq!(counts(), [155, 150, 20, 0]);
    store.is_stuck.store(false, Ordering::Relaxed);
    log.flush().await.unwrap();
    let (numbers, dropped) = store.written();
    let expected = (2_020..2_150).chain(3_000..3_150).chain(4_000..4_120);
    assert_eq!(numbers, expected.collect::<Vec<_>>(), "the oldest warnings are gone");
    assert_eq!(dropped, [155, 150, 20, 0]);
    log.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_bound_in_bytes_holds_whatever_the_sizes() {
    let store = Arc::<Script>::default();
    store.is_stuck.store(true, Ordering::Relaxed);
    let mut config = ObservationLogConfig::default();
    config.max_bytes = 64 * 1024;
    let log = open(&store, &config);
    let mut bytes = 0;
    for number in 0..2_000_u64 {
        let text = "x".repeat(number as usize % 250);
        let observation = numbered(ObservationLevel::Info, number).with_field("text", text);
        bytes += observation.size_hint();
        log.emit(observation);
    }
    let stats = log.stats();
    assert_eq!(stats.waiting as u64 + stats.dropped.total(), 2_000);
    let kept = bytes / 2_000 * stats.waiting;
    assert!((48 * 1024..80 * 1024).contains(&kept), "about {kept} bytes are kept");
    store.is_stuck.store(false, Ordering::Relaxed);
    log.close().await.unwrap();
    let (numbers, dropped) = store.written();
    assert_eq!(numbers.len() as u64 + dropped[1], 2_000);
}

/// Emitters on threads of their own, faster than the store: nothing is uncounted, whoever was when at the buffer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_flood_of_many_emitters_each_is_written_or_counted() {
    const EMITTERS: u64 = 4;
    const EACH: u64 = 20_000;
    let store = Arc::<Script>::default();
    let mut config = ObservationLogConfig::default();
    config.capacity = 500;
    let log = open(&store, &config);
    let emitters: Vec<_> = (0..EMITTERS)
        .map(|emitter| {
            let log = log.clone();
            std::thread::spawn(move || {
                for number in emitter * EACH..(emitter + 1) * EACH {
                    log.emit(numbered(ObservationLevel::ALL[number as usize % 2], number));
                }
            })
        })
        .collect();
    while !emitters.iter().all(|emitter| emitter.is_finished()) {
        sleep(Duration::from_millis(1)).await;
    }
    log.close().await.unwrap();
    let (numbers, dropped) = store.written();
    let stats = log.stats();
    assert_eq!(numbers.len() as u64 + stats.dropped.total(), EMITTERS * EACH);
    assert_eq!(
        ObservationLevel::ALL.map(|level| stats.dropped.of(level)),
        dropped,
        "what is told is what was dropped"
    );
}
