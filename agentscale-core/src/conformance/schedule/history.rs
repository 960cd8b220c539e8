//! What schedules did.

use super::ScheduleStoreHarness;
use super::scene::{SECOND, SLACK, ago, event, every_second, key, on, schedule};
use crate::schedule::{Execution, ExecutionOutcome, HistoryQuery, MissedRuns, Overlap};

/// Each run has a line that says for what time, when, and what became of it; the latest comes first.
pub async fn what_a_schedule_did_is_read_page_by_page(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    store.put(schedule("other", ago(harness, SECOND))).await;
    store.put(schedule("a", every_second(harness)).with_overlap(Overlap::Skip)).await;
    harness.pass(SECOND).await;
    let fired = store.tick().await.fired;
    let fired = fired.iter().find(|fired| fired.key == key("a")).expect("it is due").clone();
    harness.pass(SECOND).await;
    store.tick().await;
    let lines = store.schedules.history(HistoryQuery::new(key("a"), 10)).await.expect("it is read");
    let [second, first] = &lines[..] else { panic!("two runs: {lines:?}") };
    assert_eq!(first.outcome, ExecutionOutcome::Enqueued(fired.jobs[0]));
    assert_eq!(second.outcome, ExecutionOutcome::Overlapped(fired.jobs[0]));
    assert_eq!(first.epoch, fired.epoch);
    assert_eq!(Some(second.run_at), store.get("a").await.last_fired_at);
    assert!(second.epoch > first.epoch && second.run_at >= first.run_at + 1_000_000);
    assert!(
        first.fired_at.abs_diff(harness.unix_micros()) < 3_000_000 + SLACK && first.fired_at >= first.run_at
    );
    let mut pages: Vec<Execution> = Vec::new();
    let mut query = HistoryQuery::new(key("a"), 1);
    loop {
        let page = store.schedules.history(query.clone()).await.expect("it is read");
        let Some(last) = page.last() else { break };
        query = query.before(last.cursor);
        pages.extend(page);
    }
    assert_eq!(pages, lines);
}

/// Maintenance keeps the history of the last days, and says that there is no more to do.
pub async fn maintenance_leaves_what_is_new(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    store.put(schedule("skipped", ago(harness, SECOND * 90)).with_missed(MissedRuns::Skip)).await;
    store.put(schedule("event", on("orders"))).await;
    store.tick().await;
    store.schedules.trigger(vec![event(1, "orders", "one")]).await.expect("it is taken");
    for _ in 0..2 {
        assert!(!store.schedules.maintain(100).await.expect("it is tidied").more);
    }
    let lines = store.schedules.history(HistoryQuery::new(key("skipped"), 10)).await.expect("it is read");
    assert_eq!(
        lines.iter().map(|line| (line.outcome, line.missed)).collect::<Vec<_>>(),
        [(ExecutionOutcome::Missed, 1)]
    );
    let lines = store.schedules.history(HistoryQuery::new(key("event"), 10)).await.expect("it is read");
    assert!(matches!(lines[..], [Execution { outcome: ExecutionOutcome::Enqueued(_), .. }]), "{lines:?}");
}
