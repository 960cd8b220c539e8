use super::*;

const AT_MOST: Duration = Duration::from_secs(2);

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_nanos(seconds * 1_000_000_000)
}

fn begun() -> Link {
    let link = Link::default();
    link.begin(at(1), 100);
    link
}

#[test]
fn nothing_is_fresh_before_messages_come() {
    let link = Link::default();
    assert!(!link.is_fresh(link.session(), at(0), AT_MOST));
    link.begin(at(1), 100);
    assert!(link.is_fresh(1, at(3), AT_MOST));
    assert!(!link.is_fresh(1, at(4), AT_MOST));
    assert!(!link.is_fresh(0, at(1), AT_MOST));
}

#[test]
fn what_is_known_reaches_to_the_question_whose_answer_was_received() {
    let link = begun();
    assert_eq!(link.said(at(5), link.upto(), 102), Said::Fine);
    assert!(!link.is_fresh(1, at(5), AT_MOST));
    link.received(102, 1);
    assert!(!link.is_fresh(1, at(5), AT_MOST));
    link.received(101, 1);
    assert!(link.is_fresh(1, at(7), AT_MOST) && !link.is_fresh(1, at(8), AT_MOST));
}

#[test]
fn a_message_that_has_not_come_by_the_next_question_is_lost() {
    let link = begun();
    assert_eq!(link.said(at(5), link.upto(), 103), Said::Fine);
    link.received(101, 1);
    link.received(103, 1);
    assert_eq!(link.said(at(6), link.upto(), 103), Said::Lost);
    assert_eq!(link.session(), 2);
    assert!(!link.is_fresh(1, at(6), AT_MOST) && link.is_fresh(2, at(6), AT_MOST));
    assert_eq!(link.said(at(7), link.upto(), 103), Said::Fine);
    assert!(link.is_fresh(2, at(9), AT_MOST));
}

/// Each question finds new changes on their way: none of them is lost.
#[test]
fn messages_that_are_always_a_little_late_are_not_lost() {
    let link = begun();
    for second in 2..50 {
        assert_eq!(link.said(at(second), link.upto(), 99 + second), Said::Fine);
        link.received(99 + second, 1);
        assert!(link.is_fresh(1, at(second), Duration::ZERO));
    }
    assert_eq!(link.session(), 1);
}

/// The answer was on its way while messages came: Redis did not go back.
#[test]
fn an_answer_that_is_late_is_no_step_back() {
    let link = begun();
    let before = link.upto();
    link.received(101, 5);
    assert_eq!(link.said(at(2), before, 100), Said::Fine);
    assert_eq!(link.said(at(3), link.upto(), 104), Said::Back);
    assert_eq!((link.session(), link.upto()), (2, Some(104)));
}

/// A Redis that was emptied counts from another number, with messages that seem to follow.
#[test]
fn numbers_that_leap_are_lost_messages() {
    let link = begun();
    link.received(1_000_001, 1);
    assert_eq!(link.said(at(2), link.upto(), 1_000_001), Said::Fine);
    assert_eq!(link.said(at(3), link.upto(), 1_000_001), Said::Lost);
}

#[test]
fn a_flood_of_numbers_is_bounded() {
    let link = begun();
    link.received(u64::MAX - 5, u64::MAX);
    link.received(200, u64::MAX);
    for first in 0..10_000 {
        link.received(1_000 + 2 * first, 1);
    }
    assert!(link.progress().ahead.len() <= 2 * AHEAD + 2);
    link.received(101, u64::MAX);
    assert_eq!(link.upto(), Some(u64::MAX));
    assert!(link.progress().ahead.is_empty());
}

#[test]
fn without_a_subscription_nothing_more_gets_known() {
    let link = begun();
    link.end();
    link.received(101, 1);
    assert_eq!(link.said(at(2), link.upto(), 101), Said::Fine);
    assert!(link.is_fresh(1, at(3), AT_MOST) && !link.is_fresh(1, at(4), AT_MOST));
    link.begin(at(9), 107);
    assert!(!link.is_fresh(1, at(9), AT_MOST) && link.is_fresh(2, at(9), AT_MOST));
    link.end();
    assert_eq!(link.begin(at(10), 106), Said::Back);
}
