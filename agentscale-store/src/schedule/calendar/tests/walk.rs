//! Ten years in every time zone, beside a walk over all minutes that knows nothing of gaps and overlaps but what the
//! clocks show.

use std::collections::BTreeMap;
use std::env;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::super::cron::Cron;

/// 2026-01-01T00:00:00Z and ten years later, in minutes.
const BEGIN: i64 = 1_767_225_600 / 60;
const END: i64 = 2_082_758_400 / 60;
const DAY: i64 = 24 * 60;
/// So much is walked before the minutes that are looked at, to know what the clocks have shown.
const MARGIN: i64 = DAY;

/// An expression as sets, read by nothing but this table.
struct Known {
    expression: &'static str,
    minutes: fn(i64) -> bool,
    hours: fn(i64) -> bool,
    /// Of the week, Sunday is 0.
    days: fn(i64) -> bool,
    is_fixed: bool,
}

const KNOWN: [Known; 9] = [
    Known { expression: "* * * * *", minutes: |_| true, hours: |_| true, days: |_| true, is_fixed: false },
    Known {
        expression: "*/20 * * * *",
        minutes: |m| m % 20 == 0,
        hours: |_| true,
        days: |_| true,
        is_fixed: false,
    },
    Known {
        expression: "5 */3 * * *",
        minutes: |m| m == 5,
        hours: |h| h % 3 == 0,
        days: |_| true,
        is_fixed: false,
    },
    Known {
        expression: "*/7 2 * * SUN",
        minutes: |m| m % 7 == 0,
        hours: |h| h == 2,
        days: |d| d == 0,
        is_fixed: false,
    },
    Known {
        expression: "30 2 * * *",
        minutes: |m| m == 30,
        hours: |h| h == 2,
        days: |_| true,
        is_fixed: true,
    },
    Known { expression: "0 0 * * *", minutes: |m| m == 0, hours: |h| h == 0, days: |_| true, is_fixed: true },
    Known {
        expression: "45 23 * * SAT",
        minutes: |m| m == 45,
        hours: |h| h == 23,
        days: |d| d == 6,
        is_fixed: true,
    },
    Known {
        expression: "0,30 0-3,22-23 * * *",
        minutes: |m| m % 30 == 0,
        hours: |h| !(4..=21).contains(&h),
        days: |_| true,
        is_fixed: true,
    },
    Known {
        expression: "15 1 * * MON-FRI",
        minutes: |m| m == 15,
        hours: |h| h == 1,
        days: |d| (1..6).contains(&d),
        is_fixed: true,
    },
];

impl Known {
    /// Whether a clock that shows this minute shows a time of the expression.
    fn matches(&self, shown: i64) -> bool {
        let day = shown.div_euclid(DAY);
        // 1 January 1970 was a Thursday.
        (self.minutes)(shown.rem_euclid(60))
            && (self.hours)(shown.rem_euclid(DAY) / 60)
            && (self.days)((day + 4).rem_euclid(7))
    }
}

/// By how many minutes the clocks of a zone are ahead, from each of these minutes on.
fn offsets(zone: &TimeZone) -> Vec<(i64, i64)> {
    let at = |minute: i64| jiff::Timestamp::from_second(minute * 60).unwrap();
    let mut offsets = vec![(i64::MIN, i64::from(zone.to_offset(at(BEGIN - DAY)).seconds()))];
    for transition in zone.following(at(BEGIN - DAY)).take_while(|next| next.timestamp() <= at(END + DAY)) {
        offsets.push((transition.timestamp().as_second(), i64::from(transition.offset().seconds())));
    }
    offsets.dedup_by_key(|(_, ahead)| *ahead);
    assert!(offsets.iter().all(|(_, ahead)| ahead % 60 == 0), "{zone:?} is not ahead by minutes");
    offsets.into_iter().map(|(from, ahead)| (from.div_euclid(60), ahead / 60)).collect()
}

/// The runs within some minutes.
fn walk(known: &Known, offsets: &[(i64, i64)], from: i64, to: i64) -> Vec<i64> {
    let ahead =
        |minute: i64| offsets.iter().rev().find(|(since, _)| *since <= minute).map_or(0, |(_, ahead)| *ahead);
    let mut latest = i64::MIN;
    let (mut runs, mut piece, mut until) = (Vec::new(), ahead(from - MARGIN), i64::MIN);
    for minute in from - MARGIN..to {
        if minute >= until {
            piece = ahead(minute);
            until = offsets.iter().map(|(since, _)| *since).find(|since| *since > minute).unwrap_or(i64::MAX);
        }
        let shown = minute + piece;
        let is_run = match known.is_fixed {
            false => known.matches(shown),
            true if latest == i64::MIN => known.matches(shown),
            // What it shows for the first time: more than one minute at the end of a gap, none in a repetition.
            true => (latest + 1..=shown).any(|shown| known.matches(shown)),
        };
        latest = latest.max(shown);
        if is_run && minute >= from {
            runs.push(minute);
        }
    }
    runs
}

/// One zone of those whose clocks do the same in these years.
fn zones() -> BTreeMap<Vec<(i64, i64)>, String> {
    let database = TimeZoneDatabase::bundled();
    let mut distinct = BTreeMap::new();
    let mut count = 0;
    for name in database.available() {
        let zone = database.get(name.as_str()).unwrap();
        count += 1;
        distinct.insert(offsets(&zone), name.as_str().to_owned());
    }
    assert!(count > 500, "{count} zones");
    assert!(distinct.len() > 40, "{} different zones", distinct.len());
    distinct
}

fn compare(name: &str, known: &Known, offsets: &[(i64, i64)], from: i64, to: i64) -> usize {
    let cron = Cron::parse_by(&TimeZoneDatabase::bundled(), known.expression, name).unwrap();
    let micros = |minute: i64| u64::try_from(minute * 60_000_000).unwrap();
    let mut next = micros(from) - 1;
    let expected = walk(known, offsets, from, to);
    for run in &expected {
        let found = cron.next_after(next).unwrap();
        assert_eq!(found, Some(micros(*run)), "{} in {name}", known.expression);
        next = micros(*run);
    }
    assert!(
        cron.next_after(next).unwrap().is_some_and(|found| found >= micros(to)),
        "{} in {name}",
        known.expression
    );
    expected.len()
}

/// Around each change of the clocks within ten years; all minutes of the ten years where `AGENTSCALE_TEST_ALL_MINUTES` is
/// set, which takes minutes.
#[test]
fn within_ten_years_of_all_zones_no_run_is_missed_and_none_comes_twice() {
    let is_full = env::var_os("AGENTSCALE_TEST_ALL_MINUTES").is_some();
    let mut runs = 0;
    for (offsets, name) in zones() {
        let mut windows: Vec<_> = match is_full {
            true => vec![(BEGIN, END)],
            false => offsets.iter().skip(1).map(|(change, _)| (change - DAY, change + DAY)).collect(),
        };
        windows.push((BEGIN, BEGIN + DAY));
        windows.retain(|(from, to)| *from >= BEGIN && *to <= END);
        for known in &KNOWN {
            runs +=
                windows.iter().map(|(from, to)| compare(&name, known, &offsets, *from, *to)).sum::<usize>();
        }
    }
    assert!(runs > 100_000, "{runs} runs");
}
