use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn line(reject_above: usize) -> Line<u32> {
    let (age_after, long_for) = (Duration::from_secs(10), Duration::from_secs(30));
    Line::new(LineConfig { reject_above, age_after, long: 3, long_for })
}

fn at(seconds: u64) -> Monotonic {
    Monotonic::ZERO + Duration::from_secs(seconds)
}

fn call(class: Priority, tenant: &str, tokens: u64, item: u32) -> Waiting<u32> {
    let tenant = Some(Tenant::new(tenant).unwrap());
    Waiting { class, tenant, weight: 1, tokens, deadline: None, lane: 0, item }
}

fn next(line: &mut Line<u32>, seconds: u64) -> Option<u32> {
    line.next(at(seconds), |_| Ok(())).map(|(waiting, ())| waiting.item)
}

fn all(line: &mut Line<u32>, seconds: u64) -> Vec<u32> {
    std::iter::from_fn(|| next(line, seconds)).collect()
}

#[test]
fn calls_without_tokens_take_their_turns_too() {
    let mut line = line(100);
    for item in 0..3 {
        line.push(call(Priority::Conversation, "a", 0, item), at(0)).unwrap();
    }
    line.push(call(Priority::Conversation, "b", 10, 3), at(0)).unwrap();
    assert_eq!(all(&mut line, 0), [0, 3, 1, 2]);
}

#[test]
fn higher_classes_go_first_and_within_a_tenant_the_earliest_deadline() {
    let mut line = line(100);
    for (item, class) in [(1, Priority::Evaluation), (2, Priority::Conversation), (3, Priority::Incident)] {
        line.push(call(class, "a", 10, item), at(0)).unwrap();
    }
    for (item, deadline) in [(4, Some(at(9))), (5, Some(at(3))), (6, None)] {
        line.push(Waiting { deadline, ..call(Priority::Supervised, "a", 10, item) }, at(0)).unwrap();
    }
    assert_eq!(all(&mut line, 0), [3, 5, 4, 6, 2, 1]);
    assert_eq!(line.len(), 0);
}

#[test]
fn tenants_share_by_tokens_and_weight_whatever_they_ask_for() {
    let mut line = line(100_000);
    for item in 0..3_000 {
        line.push(call(Priority::Conversation, "many small", 10, item), at(0)).unwrap();
        line.push(call(Priority::Conversation, "few large", 1_000, item), at(0)).unwrap();
        line.push(Waiting { weight: 2, ..call(Priority::Conversation, "double", 100, item) }, at(0)).unwrap();
    }
    let mut given: HashMap<String, u64> = HashMap::new();
    while given.values().sum::<u64>() < 80_000 {
        let (waiting, ()) = line.next(at(0), |_| Ok(())).unwrap();
        *given.entry(waiting.tenant.unwrap().as_str().to_owned()).or_default() += waiting.tokens;
    }
    let share = |tenant: &str| given[tenant];
    assert!(share("many small").abs_diff(20_000) <= 1_000, "{given:?}");
    assert!(share("few large").abs_diff(20_000) <= 1_000, "{given:?}");
    assert!(share("double").abs_diff(40_000) <= 2_000, "{given:?}");
}

#[test]
fn who_comes_back_has_saved_nothing_and_owes_what_it_took() {
    let mut line = line(100);
    let class = Priority::Conversation;
    (0..10).for_each(|item| drop(line.push(call(class, "steady", 10, item), at(0)).unwrap()));
    for item in 0..5 {
        assert_eq!(next(&mut line, 0), Some(item));
    }
    line.push(call(class, "late", 10, 100), at(1)).unwrap();
    line.push(call(class, "late", 10, 101), at(1)).unwrap();
    line.push(call(class, "late", 10, 102), at(1)).unwrap();
    let order = all(&mut line, 1);
    let of_late = |first: usize| order[..first].iter().filter(|item| **item >= 100).count();
    assert!(of_late(2) <= 2 && of_late(4) <= 3 && of_late(5) == 3, "one call ahead at most: {order:?}");

    line.push(call(class, "greedy", 1_000, 1), at(2)).unwrap();
    line.push(call(class, "other", 10, 3), at(2)).unwrap();
    assert_eq!(next(&mut line, 2), Some(1));
    line.push(call(class, "greedy", 10, 2), at(2)).unwrap();
    line.push(call(class, "other", 10, 4), at(2)).unwrap();
    assert_eq!(all(&mut line, 2), [3, 4, 2], "what greedy took before counts when it comes back at once");
}

#[test]
fn what_waits_for_long_rises_until_it_goes_before_all() {
    let mut line = line(100);
    line.push(call(Priority::Evaluation, "a", 10, 1), at(0)).unwrap();
    line.push(call(Priority::Incident, "a", 10, 2), at(49)).unwrap();
    assert_eq!(next(&mut line, 49), Some(2), "a class below after 49 s");
    line.push(call(Priority::Incident, "a", 10, 3), at(50)).unwrap();
    assert_eq!(all(&mut line, 50), [1, 3]);
}

#[test]
fn who_has_its_turns_does_not_rise_however_long_each_of_its_calls_waits() {
    let mut line = line(1_000);
    (0..100).for_each(|item| drop(line.push(call(Priority::Evaluation, "loud", 10, item), at(0)).unwrap()));
    for second in 0..60 {
        assert!(next(&mut line, second).is_some());
    }
    line.push(call(Priority::Evaluation, "quiet", 10, 1_000), at(60)).unwrap();
    line.push(call(Priority::Incident, "quiet", 10, 1_001), at(60)).unwrap();
    assert_eq!([next(&mut line, 60), next(&mut line, 60)], [Some(1_001), Some(1_000)]);
}

#[test]
fn a_full_line_refuses_the_last_of_the_lowest_class() {
    let mut line = line(2);
    line.push(call(Priority::Evaluation, "a", 10, 1), at(0)).unwrap();
    line.push(call(Priority::Scheduled, "a", 10, 2), at(0)).unwrap();
    let (_, shed) = line.push(call(Priority::Conversation, "a", 10, 3), at(0)).unwrap();
    assert_eq!(shed.unwrap().item, 1);
    assert_eq!(line.push(call(Priority::Scheduled, "a", 10, 4), at(0)).unwrap_err().item, 4);
    assert_eq!(line.push(call(Priority::Evaluation, "a", 10, 5), at(0)).unwrap_err().item, 5);
    assert_eq!(all(&mut line, 0), [3, 2]);
}

#[test]
fn a_full_line_of_one_class_refuses_who_has_the_most_in_it() {
    let mut line = line(3);
    let class = Priority::Conversation;
    (0..3).for_each(|item| drop(line.push(call(class, "loud", 10, item), at(0)).unwrap()));
    assert_eq!(line.push(call(class, "loud", 10, 9), at(0)).unwrap_err().item, 9);
    let (_, shed) = line.push(call(class, "quiet", 10, 4), at(0)).unwrap();
    assert_eq!(shed.unwrap().item, 2);
    assert_eq!(line.push(call(class, "quiet", 10, 5), at(0)).unwrap_err().item, 5, "no more than the other");
    assert_eq!(line.push(call(class, "large", 30, 6), at(0)).unwrap_err().item, 6);
    assert_eq!(all(&mut line, 0), [0, 4, 1]);
}

#[test]
fn who_has_no_room_holds_up_its_own_lane_alone() {
    let mut line = line(100);
    let class = Priority::Conversation;
    line.push(call(class, "large", 1_000, 1), at(0)).unwrap();
    line.push(call(class, "small", 1, 2), at(0)).unwrap();
    line.push(Waiting { lane: 1, ..call(class, "other keys", 1, 3) }, at(0)).unwrap();
    let mut looked = Vec::new();
    let went = line.next(at(0), |waiting| {
        looked.push(waiting.item);
        if waiting.lane == 1 { Ok(()) } else { Err(Some(Duration::from_secs(7))) }
    });
    assert_eq!(went.map(|(waiting, ())| waiting.item), Some(3));
    assert_eq!(looked, [1, 3], "a small call does not pass a large one that waits for the same keys");
    assert_eq!((line.room_at(0), line.room_at(1)), (Some(at(7)), None));
}

#[test]
fn late_calls_leave_by_their_deadlines_and_cancelled_ones_by_their_tickets() {
    let mut line = line(100);
    let late =
        |seconds, item| Waiting { deadline: Some(at(seconds)), ..call(Priority::Scheduled, "a", 1, item) };
    line.push(late(5, 1), at(0)).unwrap();
    line.push(late(3, 2), at(0)).unwrap();
    let (ticket, _) = line.push(late(4, 3), at(0)).unwrap();
    assert_eq!(line.next_deadline(), Some(at(3)));
    assert!(line.expired(at(2)).is_none());
    assert_eq!(line.remove(ticket).unwrap().item, 3);
    assert!(line.remove(ticket).is_none());
    assert_eq!(line.expired(at(5)).unwrap().item, 2);
    assert_eq!(line.expired(at(5)).unwrap().item, 1);
    assert_eq!((line.len(), line.next_deadline()), (0, None));
}

#[test]
fn a_line_overflows_when_it_has_been_long_without_a_break_until_it_is_half_as_long() {
    let mut line = line(100);
    let push = |line: &mut Line<u32>, seconds| {
        line.push(call(Priority::Scheduled, "a", 1, 0), at(seconds)).unwrap();
    };
    (0..4).for_each(|_| push(&mut line, 0));
    assert!(!line.overflows(at(29)));
    next(&mut line, 29);
    assert!(!line.overflows(at(31)), "three are no more than three");
    (0..3).for_each(|_| push(&mut line, 40));
    assert!(!line.overflows(at(69)) && line.overflows(at(70)));
    (0..3).for_each(|_| assert_eq!(next(&mut line, 70), Some(0)));
    assert!(!line.overflows(at(70)), "those above the bound are gone");
    next(&mut line, 71);
    (0..2).for_each(|_| push(&mut line, 72));
    assert!(line.overflows(at(72)), "who comes on top of that goes at once");
    (0..3).for_each(|_| assert_eq!(next(&mut line, 73), Some(0)));
    (0..3).for_each(|_| push(&mut line, 74));
    assert!(!line.overflows(at(74)), "it was half as long");
}

#[test]
fn what_goes_before_a_call_is_its_equal_share() {
    let mut line = line(100);
    (0..50).for_each(|item| drop(line.push(call(Priority::Conversation, "loud", 100, item), at(0)).unwrap()));
    let tenant = |name: &str| Tenant::new(name).unwrap();
    assert_eq!(line.tokens_ahead(0, Priority::Conversation, Some(&tenant("loud"))), 5_000);
    assert_eq!(line.tokens_ahead(0, Priority::Conversation, Some(&tenant("quiet"))), 0);
    assert_eq!(line.tokens_ahead(0, Priority::Scheduled, Some(&tenant("quiet"))), 5_000);
    assert_eq!(line.tokens_ahead(0, Priority::Incident, Some(&tenant("loud"))), 0);
}

proptest! {
    #[test]
    fn each_call_leaves_once(steps in proptest::collection::vec((0_u8..6, 0_u8..4, 1_u64..50, 0_u8..4), 1..300)) {
        let mut line = line(40);
        let (mut inside, mut tickets) = (std::collections::BTreeSet::new(), Vec::new());
        for (item, (class, tenant, tokens, action)) in (0..).zip(steps) {
            let now = at(u64::from(item));
            match action {
                0 => {
                    if let Some(item) = next(&mut line, u64::from(item)) {
                        prop_assert!(inside.remove(&item));
                    }
                }
                1 => {
                    let place = usize::from(class) * 7;
                    if let Some((ticket, item)) = tickets.get(place).copied() {
                        prop_assert_eq!(line.remove(ticket).is_some(), inside.remove(&item));
                    }
                }
                _ => {
                    let waiting = call(CLASSES[usize::from(class)], &format!("t{tenant}"), tokens, item);
                    match line.push(waiting, now) {
                        Ok((ticket, shed)) => {
                            inside.insert(item);
                            tickets.push((ticket, item));
                            if let Some(shed) = shed {
                                prop_assert!(inside.remove(&shed.item));
                            }
                        }
                        Err(refused) => prop_assert_eq!(refused.item, item),
                    }
                }
            }
            prop_assert_eq!(line.len(), inside.len());
            prop_assert!(line.len() <= 40);
        }
        for item in all(&mut line, 10_000) {
            prop_assert!(inside.remove(&item));
        }
        prop_assert!(inside.is_empty());
        prop_assert!(line.lanes.is_empty() && line.deadlines.is_empty());
    }
}
