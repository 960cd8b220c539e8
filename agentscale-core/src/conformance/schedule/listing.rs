//! How schedules are called and found.

use super::ScheduleStoreHarness;
use super::scene::{acme, hourly, schedule, template, tenant};
use crate::MAX_NAME_BYTES;
use crate::schedule::{ListSchedules, Schedule, ScheduleKey};

/// All are listed once, by name, however large the pages are.
pub async fn schedules_are_listed_by_name_in_pages(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    for name in ["c", "a", "e", "b", "d"] {
        store.put(schedule(name, hourly())).await;
    }
    for limit in [0, 1, 2, 5, 6, usize::MAX] {
        let mut names = Vec::new();
        let mut request = ListSchedules::new(acme(), limit);
        loop {
            let page = store.schedules.list(request.clone()).await.expect("they are listed");
            assert!(page.schedules.len() <= limit.max(1));
            names.extend(page.schedules.into_iter().map(|info| info.schedule.key.name));
            match page.next {
                Some(next) => request = request.after(next),
                None => break,
            }
        }
        assert_eq!(names.iter().map(|name| name.as_str()).collect::<String>(), "abcde", "{limit}");
    }
}

/// The same name in another tenant is another schedule.
pub async fn tenants_are_apart(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let mine = store.put(schedule("a", hourly())).await;
    let key = ScheduleKey::new(&tenant("globex"), "a").expect("a name");
    let other = store.put(Schedule::new(key.clone(), hourly(), template("other"))).await;
    assert_eq!(store.get("a").await, mine);
    assert!(store.schedules.delete(&key, None).await.expect("it is deleted"));
    assert_eq!(store.get("a").await, mine);
    assert_ne!(other.revision, mine.revision);
    let page = store.schedules.list(ListSchedules::new(tenant("globex"), 10)).await.expect("it is listed");
    assert_eq!((page.schedules.len(), page.next), (0, None));
}

/// Names of the longest length, of any letters, are told apart by their last byte.
pub async fn the_longest_names_are_kept(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let long = |last: &str| format!("{}{last}", "é'\"\\% ".repeat(MAX_NAME_BYTES / 7));
    for last in ["a", "b"] {
        let key = ScheduleKey::new(&tenant(&long("t")), &long(last)).expect("names");
        let mut job = template(last);
        job.queue = long("q").try_into().expect("a name");
        job.kind = long("k").try_into().expect("a name");
        let stored = store.put(Schedule::new(key.clone(), hourly(), job)).await;
        let read = store.schedules.get(&key).await.expect("it is read");
        assert_eq!(read, Some(stored));
    }
}
