//! Months that are too old: archived, read back, and only then removed, whatever is killed on the way.

use std::path::Path;

use agentscale_core::observe::ObservationLevel;
use agentscale_store::archive::{Archive, FolderArchive, Retirement};
use agentscale_store::observations::{ObservationQuery, ObservationStore, SqliteObservationConfig};
use agentscale_store::{ObservationLog, SqliteObservationStore};
use serde_json::Value;

use super::scene::{DAY, NOVEMBER, all, number, numbered, stamp, tenant, write};

const MAY: u64 = NOVEMBER - 184 * DAY;

pub(super) fn config(folder: &Path) -> Retirement {
    Retirement::Archive(Archive::new(FolderArchive::new(folder)))
}

async fn open(folder: &Path) -> SqliteObservationStore {
    let mut with = SqliteObservationConfig::default();
    with.retirement = config(&folder.join("archive"));
    SqliteObservationStore::open_with(folder.join("observations.db"), with).await.expect("it opens")
}

/// So many in each month from March to November, numbered through.
pub(super) async fn fill(store: &dyn ObservationStore, each: u64) {
    let months = [MAY - 61 * DAY, MAY - 30 * DAY, MAY, MAY + 31 * DAY, NOVEMBER];
    for (place, month) in months.into_iter().enumerate() {
        let written = (0..each).map(|n| {
            let mut observation = numbered(ObservationLevel::Info, place as u64 * each + n);
            observation.stamp = stamp(month + n);
            observation.with_field("text", "l'été \"quoted\" \\ \n line")
        });
        write(store, written.collect()).await;
    }
}

pub(super) fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// The rows of a file, whichever database they were in.
pub(super) fn assert_archived(path: &Path, numbers: std::ops::Range<u64>) {
    let mut rows = lines(path);
    rows.sort_by_key(|row| row["at"].as_i64());
    let found: Vec<_> = rows.iter().map(|row| row["fields"][0][1].as_u64().expect("a number")).collect();
    assert_eq!(found, numbers.collect::<Vec<_>>());
    let row = &rows[0];
    assert_eq!((&row["tenant"], &row["name"]), (&"acme".into(), &"test.happened".into()));
    assert_eq!((&row["level"], &row["truncated"], &row["task"]), (&1.into(), &false.into(), &Value::Null));
    assert_eq!(row["fields"][1][1], "l'été \"quoted\" \\ \n line");
}

#[tokio::test]
async fn what_is_older_than_six_months_is_in_the_archive_and_no_longer_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, 1_500).await;
    assert!(store.maintain(NOVEMBER - 1).await.unwrap().retired.starts_with(&["2026_03".into()]));
    assert_eq!(store.maintain(NOVEMBER).await.unwrap().retired, ["2026_04"]);
    assert!(store.maintain(NOVEMBER + 29 * DAY).await.unwrap().retired.is_empty());
    let left = all(&store, ObservationQuery::of(tenant()).limit(1_000)).await;
    assert_eq!(left.iter().map(number).collect::<Vec<_>>(), (3_000..7_500).collect::<Vec<_>>());
    assert_eq!(all(&store, ObservationQuery::of(tenant()).with_text("été").limit(1_000)).await.len(), 4_500);
    let archive = folder.path().join("archive/observations");
    assert_archived(&archive.join("2026_03.jsonl"), 0..1_500);
    assert_archived(&archive.join("2026_04.jsonl"), 1_500..3_000);
    assert!(archive.join("2026_04.manifest.json").exists());
}

#[tokio::test]
async fn what_is_cancelled_anywhere_is_archived_once_and_what_comes_late_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, 2_000).await;
    let mut polls = 1;
    // As if killed at each await in turn.
    loop {
        let mut maintained = Box::pin(store.maintain(NOVEMBER));
        let mut left = polls;
        let done = std::future::poll_fn(|context| {
            if left == 0 {
                return std::task::Poll::Ready(None);
            }
            left -= 1;
            maintained.as_mut().poll(context).map(Some)
        });
        match done.await {
            Some(done) => {
                done.unwrap();
                break;
            }
            None => polls += 7,
        }
    }
    let archive = folder.path().join("archive/observations");
    let mut files: Vec<_> = std::fs::read_dir(&archive)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.retain(|file| !file.ends_with(".part"));
    files.sort_unstable();
    let expected = ["2026_03.jsonl", "2026_03.manifest.json", "2026_04.jsonl", "2026_04.manifest.json"];
    assert_eq!(files, expected, "after being stopped {} times", polls / 7);
    assert_archived(&archive.join("2026_03.jsonl"), 0..2_000);
    assert_archived(&archive.join("2026_04.jsonl"), 2_000..4_000);

    let mut late = numbered(ObservationLevel::Info, 7).with_field("text", "l'été \"quoted\" \\ \n line");
    late.stamp = stamp(MAY - DAY);
    write(&store, vec![late]).await;
    assert_eq!(store.maintain(NOVEMBER).await.unwrap().retired, ["2026_04"]);
    assert_archived(&archive.join("2026_04.2.jsonl"), 7..8);
    assert_eq!(all(&store, ObservationQuery::of(tenant()).limit(1_000)).await.len(), 6_000);
}

#[tokio::test]
async fn a_log_retires_what_is_too_old_by_itself() {
    use std::sync::Arc;

    use agentscale_core::time::ManualClock;
    use agentscale_store::observations::ObservationLogConfig;

    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, 10).await;
    let clock = ManualClock::default();
    let begin = agentscale_core::Clock::unix_micros(&clock);
    clock.advance(std::time::Duration::from_micros(NOVEMBER - begin));
    let log = ObservationLog::new(Arc::new(store.clone()), &ObservationLogConfig::default(), Arc::new(clock));
    let file = folder.path().join("archive/observations/2026_04.manifest.json");
    while !file.exists() {
        tokio::task::yield_now().await;
    }
    log.close().await.unwrap();
}
