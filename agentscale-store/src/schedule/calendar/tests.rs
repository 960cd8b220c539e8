mod walk;

use std::time::Duration;

use agentscale_core::ErrorKind;
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

use super::*;

fn micros(instant: &str) -> u64 {
    let instant: Timestamp = instant.parse().unwrap();
    u64::try_from(instant.as_microsecond()).unwrap()
}

/// The runs of an expression after an instant, as instants.
fn runs(expression: &str, zone: &str, after: &str, most: usize) -> Vec<String> {
    let cron = Cron::parse_by(&TimeZoneDatabase::bundled(), expression, zone).unwrap();
    let mut next = micros(after);
    let mut runs = Vec::new();
    while runs.len() < most
        && let Some(run) = cron.next_after(next).unwrap()
    {
        next = run;
        runs.push(Timestamp::from_microsecond(run.cast_signed()).unwrap().to_string());
    }
    runs
}

// In 2026 the clocks of Berlin go from 02:00 to 03:00 on 29 March at 01:00Z, and from 03:00 to 02:00 on 25 October at 01:00Z.

#[test]
fn a_fixed_time_in_the_gap_runs_once_at_its_end() {
    let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_eq!(runs("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3), expected);
    // Two times in the gap are one run, and those of a list beside it run as ever.
    let expected = ["2026-03-29T01:00:00Z", "2026-03-29T12:10:00Z", "2026-03-29T12:50:00Z"];
    assert_eq!(runs("10,50 2,14 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3), expected);
}

#[test]
fn a_gap_that_ends_with_its_day_runs_on_the_next_one() {
    // In Nuuk 23:00 on 28 March 2026 becomes 00:00 on the 29th, a Sunday.
    let expected = ["2026-03-29T01:00:00Z", "2026-04-05T00:30:00Z"];
    assert_eq!(runs("30 23 * * SAT", "America/Nuuk", "2026-03-28T12:00:00Z", 2), expected);
}

#[test]
fn a_gap_of_a_whole_day_runs_at_its_end() {
    // Samoa had no 30 December 2011.
    assert_eq!(runs("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1), ["2011-12-30T10:00:00Z"]);
}

#[test]
fn a_fixed_time_in_the_overlap_runs_at_the_first_of_the_two() {
    let expected = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    assert_eq!(runs("30 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 2), expected);
    assert_eq!(runs("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
}

#[test]
fn steps_go_on_through_the_overlap_and_leave_out_the_gap() {
    let expected =
        ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
    assert_eq!(runs("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4), expected);
    let expected = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
    assert_eq!(runs("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3), expected);
    // Nothing shows between 02:00 and 03:00 on that day.
    assert_eq!(runs("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 1), ["2026-03-30T00:00:00Z"]);
    // From the first of two equal hours an earlier time of the second is still to come.
    assert_eq!(
        runs("*/45 2 25 10 *", "Europe/Berlin", "2026-10-25T00:50:00Z", 2),
        ["2026-10-25T01:00:00Z", "2026-10-25T01:45:00Z"]
    );
}

#[test]
fn expressions_mean_what_the_specification_says() {
    let first = |expression| runs(expression, "UTC", "2026-11-22T12:00:00Z", 1).remove(0);
    assert_eq!(first("@daily"), "2026-11-23T00:00:00Z");
    assert_eq!(first("30 15 12 * * *"), "2026-11-22T12:15:30Z");
    assert_eq!(first("0 0 0 1 1 * 2030"), "2030-01-01T00:00:00Z");
    assert_eq!(first("0 0 L * *"), "2026-11-30T00:00:00Z");
    assert_eq!(first("0 0 * * TUE#3"), "2026-12-15T00:00:00Z");
    assert_eq!(first("0 12 1 * MON"), "2026-11-23T12:00:00Z");
    assert_eq!(first("0 12 1 * +MON"), "2027-02-01T12:00:00Z");
    assert_eq!(first("0 0 29 2 *"), "2028-02-29T00:00:00Z");
}

#[test]
fn a_year_that_has_passed_and_a_day_that_never_comes_have_no_next_run() {
    assert_eq!(runs("0 0 0 1 1 * 2026", "UTC", "2026-11-22T12:00:00Z", 1), [""; 0]);
    for zone in ["UTC", "Europe/Berlin"] {
        assert_eq!(runs("0 0 30 2 *", zone, "2026-11-22T12:00:00Z", 1), [""; 0]);
        assert_eq!(runs("* * 31 4,6,9,11 *", zone, "2026-11-22T12:00:00Z", 1), [""; 0]);
    }
}

#[test]
fn what_is_no_expression_or_no_zone_is_refused_by_field() {
    let field = |timing: Timing| {
        let error = Calendar::new(&timing).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        error.context("field").map(str::to_owned).unwrap()
    };
    let garbage = [
        "",
        " ",
        "* * * *",
        "* * * * * * * *",
        "60 * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "every day",
        "* * * * \0",
        "0/5 * * * *",
        "-1 * * * *",
        "99999999999999999999 * * * *",
        "@reboot",
        "ß * * * *",
        "# # # # #",
    ];
    for expression in garbage {
        assert_eq!(field(Timing::cron(expression, "UTC")), "expression", "{expression:?}");
    }
    assert_eq!(field(Timing::cron("*".repeat(1_000), "UTC")), "expression");
    for zone in ["", "Mars/Olympus", "../../etc/passwd", "Europe/Berlin\0", "CET-1CEST"] {
        assert_eq!(field(Timing::cron("* * * * *", zone)), "zone", "{zone:?}");
    }
    for interval in [Duration::ZERO, Duration::from_millis(999)] {
        assert_eq!(field(Timing::Every { interval, anchor_unix_micros: 0 }), "interval");
    }
}

#[test]
fn intervals_are_counted_from_their_anchor_on() {
    let every =
        Calendar::new(&Timing::Every { interval: Duration::from_secs(7), anchor_unix_micros: 100 }).unwrap();
    let next = |after| every.next_after(after).unwrap();
    assert_eq!((next(0), next(99), next(100)), (Some(100), Some(100), Some(7_000_100)));
    assert_eq!((next(7_000_099), next(7_000_100)), (Some(7_000_100), Some(14_000_100)));
    assert_eq!(next(u64::MAX), None);
}

#[test]
fn a_single_run_has_no_second_and_an_event_no_time() {
    let once = Calendar::new(&Timing::Once { at_unix_micros: 5 }).unwrap();
    assert_eq!((once.next_after(4).unwrap(), once.next_after(5).unwrap()), (Some(5), None));
    let event = Calendar::new(&Timing::Event { topic: "orders".try_into().unwrap() }).unwrap();
    assert_eq!(event.next_after(0).unwrap(), None);
}
