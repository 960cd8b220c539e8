use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A schedule that runs at each multiple of `interval`.
fn every(interval: u64) -> impl FnMut(u64) -> Result<Option<u64>> {
    move |after| Ok(Some((after / interval + 1) * interval))
}

#[test]
fn before_its_time_nothing_happens() {
    let firing = fire(DAY, DAY - 1, MissedRuns::CatchUp { most: 100 }, every(HOUR)).unwrap();
    assert_eq!(firing, Firing { next_run_at: Some(DAY), ..Firing::default() });
}

#[test]
fn in_time_each_policy_runs_once_at_its_time() {
    for policy in [MissedRuns::Skip, MissedRuns::Coalesce, MissedRuns::CatchUp { most: 3 }] {
        let firing = fire(DAY, DAY + 500_000, policy, every(HOUR)).unwrap();
        let expected = Firing { runs: vec![DAY], next_run_at: Some(DAY + HOUR), ..Firing::default() };
        assert_eq!(firing, expected, "{policy:?}");
    }
}

#[test]
fn after_an_outage_skip_runs_nothing_coalesce_the_last_and_catch_up_the_last_ones() {
    let now = DAY + 55 * MINUTE;
    let decide = |policy| fire(DAY, now, policy, every(10 * MINUTE)).unwrap();
    let next_run_at = Some(DAY + HOUR);
    assert_eq!(decide(MissedRuns::Skip), Firing { missed: 6, next_run_at, ..Firing::default() });
    let last = DAY + 50 * MINUTE;
    assert_eq!(decide(MissedRuns::Coalesce), Firing { runs: vec![last], missed: 5, next_run_at });
    let last = vec![DAY + 30 * MINUTE, DAY + 40 * MINUTE, DAY + 50 * MINUTE];
    let firing = Firing { runs: last, missed: 3, next_run_at };
    assert_eq!(decide(MissedRuns::CatchUp { most: 3 }), firing);
}

#[test]
fn a_minute_late_is_not_missed_and_a_bit_more_is() {
    let runs = |now| fire(DAY, now, MissedRuns::Skip, every(HOUR)).unwrap().runs;
    assert_eq!(runs(DAY + MINUTE), [DAY]);
    assert_eq!(runs(DAY + MINUTE + 1).len(), 0);
}

#[test]
fn nothing_is_made_up_for_after_an_hour() {
    let daily = |now| fire(DAY, now, MissedRuns::CatchUp { most: 100 }, every(DAY)).unwrap();
    assert_eq!(daily(DAY + HOUR).runs, [DAY]);
    let late = daily(DAY + HOUR + 1);
    assert_eq!((late.runs, late.missed, late.next_run_at), (vec![], 1, Some(2 * DAY)));
}

#[test]
fn an_outage_of_years_is_left_behind_at_once_and_its_end_counted_exactly() {
    let mut asked = 0;
    let now = 4_000 * DAY + 500_000;
    let firing = fire(DAY, now, MissedRuns::Coalesce, |after| {
        asked += 1;
        every(SECOND)(after)
    });
    let firing = firing.unwrap();
    assert_eq!((firing.runs, firing.next_run_at), (vec![4_000 * DAY], Some(4_000 * DAY + SECOND)));
    assert!(firing.missed >= 10_000 + 3_599, "{}", firing.missed);
    assert!(asked < 20_000, "{asked}");
}

#[test]
fn a_schedule_without_a_further_time_ends() {
    let firing = fire(DAY, DAY, MissedRuns::Coalesce, |_| Ok(None)).unwrap();
    assert_eq!((firing.runs, firing.next_run_at), (vec![DAY], None));
}

proptest! {
    /// Ticks at any times, backward ones too: each time runs at most once, and each that passed ran or was counted.
    #[test]
    fn no_time_runs_twice_and_none_goes_uncounted(
        interval in 3..200_u64,
        steps in prop::collection::vec(-300..20_000_i64, 1..40),
        most in 0..5_u32,
    ) {
        let policy = match most {
            0 => MissedRuns::Skip,
            1 => MissedRuns::Coalesce,
            most => MissedRuns::CatchUp { most },
        };
        let interval = interval * SECOND;
        let (start, mut now, mut latest) = (10 * DAY, 10 * DAY, 10 * DAY);
        let mut due = every(interval)(start).unwrap();
        let (mut ran, mut missed) = (Vec::new(), 0);
        for step in steps {
            now = now.saturating_add_signed(step * i64::try_from(SECOND).unwrap());
            latest = latest.max(now);
            let firing = fire(due.unwrap(), now, policy, every(interval)).unwrap();
            due = firing.next_run_at;
            ran.extend(firing.runs);
            missed += firing.missed;
        }
        prop_assert!(ran.is_sorted_by(|one, next| one < next));
        prop_assert_eq!(ran.len() as u64 + missed, latest / interval - start / interval);
        prop_assert!(due.unwrap() > latest);
    }
}
