use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::layers::{Bulkhead, BulkheadConfig, BulkheadLayer, BulkheadPermit, Layer, Service};
use agentscale_core::time::{ManualClock, SystemClock};
use agentscale_core::{ErrorKind, Result, Retry};
use futures::FutureExt;
use proptest::prelude::*;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::{Scripted, tables};

type Waiting = Pin<Box<dyn Future<Output = Result<BulkheadPermit>>>>;

fn config(max_in_flight: u32, max_waiting: u32) -> BulkheadConfig {
    BulkheadConfig { max_in_flight, max_waiting, max_wait: Duration::from_secs(1) }
}

fn bulkhead(config: &BulkheadConfig) -> Bulkhead {
    Bulkhead::new(config, Arc::new(SystemClock::new())).unwrap()
}

fn acquire(bulkhead: &Bulkhead) -> Waiting {
    let bulkhead = bulkhead.clone();
    Box::pin(async move { bulkhead.acquire().await })
}

#[tokio::test(start_paused = true)]
async fn the_bulkhead_follows_its_table_of_events() {
    for case in tables::cases::<BulkheadConfig>(include_str!("tables/bulkhead.json"), 8) {
        let mut scene = Scene { bulkhead: bulkhead(&case.config), ..Scene::default() };
        let start = Instant::now();
        for (at_ms, events, expected) in &case.steps {
            sleep_until(start + Duration::from_millis(*at_ms)).await;
            let seen = scene.apply(events);
            assert_eq!(seen, *expected, "{}: {at_ms} {events}", case.name);
            assert!(scene.bulkhead.in_flight() <= case.config.max_in_flight as usize);
        }
    }
}

struct Scene {
    bulkhead: Bulkhead,
    waiting: Vec<(String, Waiting)>,
    admitted: HashMap<String, BulkheadPermit>,
}

impl Default for Scene {
    fn default() -> Self {
        Self { bulkhead: bulkhead(&config(1, 0)), waiting: Vec::new(), admitted: HashMap::new() }
    }
}

impl Scene {
    /// What changed, and for a call that stays in line that it waits.
    fn apply(&mut self, events: &str) -> String {
        let mut new = None;
        for event in events.split(" and ") {
            match event.split_once(' ') {
                Some(("acquire", name)) => {
                    self.waiting.push((name.to_owned(), acquire(&self.bulkhead)));
                    new = Some(name);
                }
                Some(("release", name)) => drop(self.admitted.remove(name).unwrap()),
                Some(("cancel", name)) => self.waiting.retain(|(waiting, _)| waiting != name),
                _ => assert_eq!(event, "look"),
            }
        }
        let mut seen = Vec::new();
        for (name, mut call) in std::mem::take(&mut self.waiting) {
            match (&mut call).now_or_never() {
                Some(Ok(permit)) => {
                    seen.push(format!("{name} admitted"));
                    self.admitted.insert(name, permit);
                }
                Some(Err(refusal)) => {
                    assert_eq!((refusal.kind(), refusal.retry()), (ErrorKind::Overloaded, Retry::Later));
                    seen.push(format!("{name} refused"));
                }
                None => {
                    if new == Some(name.as_str()) {
                        seen.push(format!("{name} waits"));
                    }
                    self.waiting.push((name, call));
                }
            }
        }
        seen.join(", ")
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_is_made_when_a_slot_comes_free() {
    let bulkhead = bulkhead(&config(1, 1));
    let inner = Scripted::new([Ok("done")]).taking(Duration::from_millis(600));
    let mut service = BulkheadLayer::new(bulkhead.clone()).layer(inner.clone());
    let first = tokio::spawn(service.ready().await.unwrap().call(()));
    let second = tokio::spawn(service.ready().await.unwrap().call(()));
    let third = service.ready().await.unwrap().call(()).await;
    assert_eq!(third.unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!((inner.started(), bulkhead.in_flight(), bulkhead.waiting()), (1, 1, 1));

    let begun = Instant::now();
    assert_eq!(second.await.unwrap().unwrap(), "done");
    assert_eq!((begun.elapsed().as_millis(), inner.started()), (1_200, 2));
    assert_eq!(first.await.unwrap().unwrap(), "done");
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_too_long_is_refused_and_never_made() {
    let bulkhead = bulkhead(&config(1, 1));
    let inner = Scripted::new([Ok("done")]).taking(Duration::from_secs(60));
    let mut service = BulkheadLayer::new(bulkhead.clone()).layer(inner.clone());
    let running = tokio::spawn(service.ready().await.unwrap().call(()));
    let begun = Instant::now();
    let refusal = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!((refusal.kind(), begun.elapsed().as_secs()), (ErrorKind::Overloaded, 1));
    assert_eq!((inner.started(), bulkhead.waiting()), (1, 0));
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(bulkhead.in_flight(), 0, "a call that is dropped frees its slot");
}

#[test]
fn a_call_that_finds_a_slot_needs_no_runtime() {
    let service = BulkheadLayer::new(bulkhead(&config(1, 1))).layer(Scripted::new([Ok("at once")]));
    assert_eq!(service.oneshot(()).now_or_never().unwrap().unwrap(), "at once");
}

#[test]
fn a_crowd_of_threads_holds_no_more_permits_than_there_are_slots() {
    let bulkhead = bulkhead(&config(5, 0));
    assert_eq!(super::most_held_at_once(|| bulkhead.try_acquire()), 5);
    assert_eq!(bulkhead.in_flight(), 0);
}

#[test]
fn bounds_that_are_zero_or_absurd_are_invalid_by_name() {
    let good = config(1, 1);
    for (field, bad) in [
        ("max_in_flight", BulkheadConfig { max_in_flight: 0, ..good.clone() }),
        ("max_in_flight", BulkheadConfig { max_in_flight: u32::MAX, ..good.clone() }),
        ("max_waiting", BulkheadConfig { max_waiting: u32::MAX, ..good.clone() }),
        ("max_wait_ms", BulkheadConfig { max_wait: Duration::ZERO, ..good.clone() }),
        ("max_wait_ms", BulkheadConfig { max_wait: Duration::MAX, ..good.clone() }),
    ] {
        let error = Bulkhead::new(&bad, Arc::new(ManualClock::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.context(field).is_some(), "{error}");
    }
    assert!(serde_json::from_str::<BulkheadConfig>(r#"{"in_flight": 3}"#).is_err());
}

proptest! {
    /// Whatever comes and goes, no more calls are in flight than allowed, and every slot and place comes back.
    #[test]
    fn no_slot_is_lost_and_none_is_given_twice(
        max_in_flight in 1u32..4,
        max_waiting in 0u32..4,
        events in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 1..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _context = runtime.enter();
        let bulkhead = bulkhead(&config(max_in_flight, max_waiting));
        let (mut waiting, mut admitted) = (Vec::<Waiting>::new(), Vec::<BulkheadPermit>::new());
        for (event, which) in events {
            match event {
                0 => waiting.push(acquire(&bulkhead)),
                1 if !waiting.is_empty() => drop(waiting.swap_remove(which.index(waiting.len()))),
                2 if !admitted.is_empty() => drop(admitted.swap_remove(which.index(admitted.len()))),
                _ if !waiting.is_empty() => {
                    let at = which.index(waiting.len());
                    if let Some(outcome) = (&mut waiting[at]).now_or_never() {
                        drop(waiting.swap_remove(at));
                        admitted.extend(outcome);
                    }
                }
                _ => {}
            }
            prop_assert!(admitted.len() <= bulkhead.in_flight());
            prop_assert!(bulkhead.in_flight() <= max_in_flight as usize);
            prop_assert!(bulkhead.waiting() <= max_waiting as usize);
        }
        drop((waiting, admitted));
        prop_assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
    }
}
