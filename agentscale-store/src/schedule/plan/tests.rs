use std::time::Duration;

use agentscale_core::Tenant;
use agentscale_core::schedule::{JobTemplate, MissedRuns, Revision, Schedule, ScheduleInfo, Timing};

use super::*;

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;
const EPOCH: Epoch = Epoch { incarnation: 0, counter: 7 };

fn record(name: &str, timing: Timing, overlap: Overlap) -> Record {
    let key = ScheduleKey::new(&Tenant::new("acme").unwrap(), name).unwrap();
    let job = JobTemplate::new("mail".try_into().unwrap(), "digest".try_into().unwrap(), "");
    let schedule =
        Schedule::new(key, timing, job).with_overlap(overlap).with_missed(MissedRuns::CatchUp { most: 2 });
    let mut info = ScheduleInfo::new(schedule, Revision(3), EPOCH);
    info.next_run_at = Some(HOUR);
    Record { id: 1, info }
}

fn every(overlap: Overlap) -> Record {
    record("a", Timing::Every { interval: Duration::from_secs(600), anchor_unix_micros: 0 }, overlap)
}

fn event(id: u128, payload: &str) -> ScheduleEvent {
    let tenant = Tenant::new("acme").unwrap();
    ScheduleEvent::new(uuid::Uuid::from_u128(id), tenant, "orders".try_into().unwrap(), payload.to_owned())
}

#[test]
fn a_run_has_the_same_job_whoever_fires_it_and_its_time_is_that_of_the_run() {
    let jobs = |record: &Record, now| {
        let mut plan = Plan::default();
        plan.fire(record, EPOCH, &JobLimits::default(), now);
        plan.jobs()
    };
    let (one, other) = (jobs(&every(Overlap::Allow), HOUR), jobs(&every(Overlap::Allow), HOUR + SECOND));
    assert_eq!(one, other);
    let (seconds, nanos) = one[0].id.0.get_timestamp().unwrap().to_unix();
    assert_eq!((seconds, nanos), (3_600, 0));
    let mut edited = every(Overlap::Allow);
    edited.info.revision = Revision(4);
    assert_ne!(jobs(&edited, HOUR)[0].id, one[0].id);
    let mut renamed = every(Overlap::Allow);
    renamed.info.schedule.key.name = "b".try_into().unwrap();
    assert_ne!(jobs(&renamed, HOUR)[0].id, one[0].id);
}

#[test]
fn what_was_enqueued_late_missed_or_kept_out_is_counted_and_recorded() {
    let mut plan = Plan::default();
    plan.fire(&every(Overlap::Skip), EPOCH, &JobLimits::default(), HOUR + 1_300 * SECOND);
    let jobs = plan.jobs();
    assert_eq!(jobs.len(), 2);
    assert!(jobs[0].unique.is_some() && jobs[0].unique == jobs[1].unique);
    let exists = Enqueued::Exists { id: jobs[0].id, outcome: None };
    let settled = plan.settle(&[Enqueued::Added(jobs[0].id), exists], 0);
    let [change] = &settled.changes[..] else { panic!("{settled:?}") };
    let counts = change.fired.counts;
    assert_eq!((counts.fired, counts.late, counts.missed, counts.overlapped), (1, 1, 1, 1));
    assert_eq!(change.next_run_at, Some(HOUR + 1_800 * SECOND));
    assert_eq!(change.last_fired_at, Some(HOUR + 1_200 * SECOND));
    let lines: Vec<_> = settled.lines.iter().map(|line| (line.run_at, line.outcome, line.missed)).collect();
    assert_eq!(
        lines,
        [
            (HOUR, ExecutionOutcome::Missed, 1),
            (HOUR + 600 * SECOND, ExecutionOutcome::Enqueued(jobs[0].id), 0),
            (HOUR + 1_200 * SECOND, ExecutionOutcome::Overlapped(jobs[0].id), 0),
        ]
    );
}

#[test]
fn an_event_that_comes_again_is_the_same_job_and_leaves_no_second_line() {
    let record = record("a", Timing::Event { topic: "orders".try_into().unwrap() }, Overlap::Allow);
    let mut plan = Plan::default();
    let events = [event(1, "one"), event(1, "one"), event(2, "one"), event(1, "two")];
    for (number, event) in events.iter().enumerate() {
        plan.trigger(&record, EPOCH, number, event, HOUR);
    }
    let jobs = plan.jobs();
    assert_eq!(jobs[0].id, jobs[1].id);
    assert_eq!(jobs[3].payload, "two");
    let mut enqueued: Vec<_> = jobs.iter().map(|job| Enqueued::Added(job.id)).collect();
    enqueued[1] = Enqueued::Exists { id: jobs[0].id, outcome: None };
    let settled = plan.settle(&enqueued, events.len());
    assert_eq!(settled.changes[0].fired.counts.fired, 3);
    assert_eq!(settled.lines.len(), 3);
    assert_eq!(settled.events[0], settled.events[1]);
    assert_eq!(settled.events.iter().flatten().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[test]
fn a_schedule_that_cannot_run_is_set_aside_and_stops_no_other() {
    let mut large = every(Overlap::Allow);
    large.info.schedule.job.payload = vec![0; JobLimits::default().payload_bytes + 1].into();
    let good = every(Overlap::Allow);
    let bad = record("bad", Timing::cron("* * * * *", "Mars/Olympus"), Overlap::Allow);
    let mut plan = Plan::default();
    for (id, mut record) in (1..).zip([bad, large, good]) {
        record.id = id;
        plan.fire(&record, EPOCH, &JobLimits::default(), HOUR);
    }
    let jobs = plan.jobs();
    assert_eq!(jobs.len(), 1);
    let settled = plan.settle(&[Enqueued::Added(jobs[0].id)], 0);
    let next = settled.changes.iter().map(|change| change.next_run_at).collect::<Vec<_>>();
    assert_eq!(next, [Some(2 * HOUR), Some(2 * HOUR), Some(HOUR + 600 * SECOND)]);
    assert_eq!(settled.changes[2].fired.counts.fired, 1);
}
