//! Schedules that wait for events.

use super::ScheduleStoreHarness;
use super::scene::{acme, assert_kind, event, hourly, key, on, schedule, template, tenant};
use crate::schedule::{MAX_PAGE, Schedule, ScheduleKey};
use crate::{ErrorKind, Topic, TraceContext};

/// Each schedule that waits for the topic has a job for each event, whose payload is the event's; no other has.
pub async fn an_event_enqueues_what_waits_for_it(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    for (name, topic) in [("a", "orders"), ("b", "orders"), ("c", "invoices")] {
        let mut waiting = schedule(name, on(topic));
        waiting.job = template("");
        store.put(waiting).await;
    }
    let other = ScheduleKey::new(&tenant("globex"), "a").expect("a name");
    store.put(Schedule::new(other, on("orders"), template(""))).await;
    let trace =
        TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").expect("a trace");
    let traced = event(1, "orders", "one").with_trace(Some(trace.clone()));
    let events = vec![traced, event(2, "nobody's", "two"), event(3, "invoices", "three")];
    let jobs = store.schedules.trigger(events).await.expect("they are taken");
    assert_eq!(jobs.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 1]);
    let claimed = store.claim().await;
    assert_eq!(claimed.len(), 3);
    for claimed in claimed {
        assert_eq!(claimed.job.tenant, acme());
        let is_traced = claimed.job.trace == Some(trace.clone());
        let (number, payload) = if is_traced { (0, "one") } else { (2, "three") };
        assert_eq!(claimed.job.payload, payload);
        assert!(jobs[number].contains(&claimed.job.id));
    }
    let info = store.get("a").await;
    assert_eq!((info.counts.fired, info.last_fired_at.is_some(), info.next_run_at), (1, true, None));
}

/// An event that is brought twice, in one list or later, has one job.
pub async fn an_event_that_comes_again_enqueues_nothing(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    store.put(schedule("a", on("orders"))).await;
    let twice = vec![event(1, "orders", "one"), event(1, "orders", "one")];
    let jobs = store.schedules.trigger(twice).await.expect("they are taken");
    assert_eq!(jobs[0], jobs[1]);
    let again = store.schedules.trigger(vec![event(1, "orders", "one")]).await.expect("it is taken");
    assert_eq!(again[0], jobs[0]);
    assert_eq!((store.claim().await.len(), store.get("a").await.counts.fired), (1, 1));
    // Another one under the same id is not taken for it.
    let other = store.schedules.trigger(vec![event(1, "orders", "two")]).await.expect("it is taken");
    assert_ne!(other[0], jobs[0]);
}

/// A schedule with a payload sends that.
pub async fn a_payload_of_its_own_goes_before_that_of_the_event(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    store.put(schedule("a", on("orders"))).await;
    store.schedules.trigger(vec![event(1, "orders", "one")]).await.expect("it is taken");
    assert_eq!(store.claim().await[0].job.payload, "{}");
}

/// A paused schedule gets no jobs for events that come meanwhile.
pub async fn who_stands_still_misses_events(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    store.put(schedule("a", on("orders"))).await;
    store.schedules.pause(&key("a")).await.expect("it is there");
    let jobs = store.schedules.trigger(vec![event(1, "orders", "one")]).await.expect("it is taken");
    assert_eq!(jobs, [vec![]]);
    store.schedules.resume(&key("a")).await.expect("it is there");
    let jobs = store.schedules.trigger(vec![event(2, "orders", "two")]).await.expect("it is taken");
    assert_eq!(jobs[0].len(), 1);
}

/// Topics that are waited for are named in order, once each, and no others.
pub async fn topics_are_named_once(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    for (name, topic) in [("a", "orders"), ("b", "orders"), ("c", "invoices"), ("d", "paused")] {
        store.put(schedule(name, on(topic))).await;
    }
    store.put(schedule("e", hourly())).await;
    store.schedules.pause(&key("d")).await.expect("it is there");
    let other = ScheduleKey::new(&tenant("globex"), "a").expect("a name");
    store.put(Schedule::new(other, on("orders"), template(""))).await;
    let topic = |name: &str| Topic::new(name).expect("a name");
    let all = [(acme(), topic("invoices")), (acme(), topic("orders")), (tenant("globex"), topic("orders"))];
    assert_eq!(store.schedules.topics(None).await.expect("they are named"), all);
    let behind = store.schedules.topics(Some(all[0].clone())).await.expect("they are named");
    assert_eq!(behind, all[1..]);
}

/// More events than a store takes at once change nothing.
pub async fn too_many_events_are_refused(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    store.put(schedule("a", on("orders"))).await;
    let events: Vec<_> = (0..=MAX_PAGE as u128).map(|id| event(id, "orders", "one")).collect();
    assert_kind(store.schedules.trigger(events).await, ErrorKind::TooLarge);
    let mut large = schedule("b", on("orders"));
    large.job = template("");
    store.put(large).await;
    let body = "x".repeat(store.jobs.capabilities().limits.payload_bytes + 1);
    assert_kind(store.schedules.trigger(vec![event(1, "orders", &body)]).await, ErrorKind::TooLarge);
    assert_eq!(store.claim().await, []);
}
