use super::*;

fn id(name: u8) -> TagId {
    TagId([name; 32])
}

#[test]
fn what_was_used_is_current_until_it_changes_and_never_again() {
    let tags = Tags::default();
    let (used, other) = (tags.now(id(1)).at(10), tags.now(id(2)).at(10));
    assert!(used.is_current());
    tags.told(id(1), 11);
    assert!(!used.is_current() && other.is_current());
    // A message that comes late, or twice.
    tags.told(id(1), 10);
    assert!(!used.is_current());
    drop(tags.change(id(2)));
    assert!(!other.is_current());
}

/// The values were computed from before the change, whichever way it became known.
#[test]
fn a_version_that_was_told_late_is_not_current() {
    let tags = Tags::default();
    let before = tags.now(id(1));
    tags.told(id(1), 11);
    assert!(!before.at(10).is_current());
    let before = tags.now(id(1));
    tags.changed(id(1));
    assert!(!before.at(11).is_current());
}

#[test]
fn an_entry_from_redis_is_not_taken_where_a_tag_of_it_changed_meanwhile() {
    let tags = Tags::default();
    let mark = tags.mark();
    tags.told(id(1), 11);
    assert!(tags.since(mark, &[(id(1), 10)]).is_none());
    assert!(tags.since(mark, &[(id(2), 10)]).is_some());
    assert!(tags.since(tags.mark(), &[(id(1), 11)]).is_some());
    let change = tags.change(id(2));
    assert!(tags.since(tags.mark(), &[(id(2), 10)]).is_none());
    drop(change);
    assert!(tags.since(tags.mark(), &[(id(2), 10)]).is_some());
}

#[test]
fn an_entry_from_redis_is_not_taken_behind_more_changes_than_are_remembered() {
    let tags = Tags::default();
    let mark = tags.mark();
    for version in 1..=RECENT as u64 {
        tags.told(id(1), version);
    }
    assert!(tags.since(mark, &[(id(2), 10)]).is_some());
    tags.told(id(1), u64::MAX - 1);
    assert!(tags.since(mark, &[(id(2), 10)]).is_none());
    let mark = tags.mark();
    tags.void();
    assert!(tags.since(mark, &[(id(2), 10)]).is_none());
}

#[test]
fn tags_that_nothing_uses_are_forgotten() {
    let tags = Tags::default();
    let used: Vec<_> = (0..100).map(|name| tags.now(id(name))).collect();
    assert_eq!(tags.count(), 100);
    drop(used);
    assert_eq!(tags.count(), 0);
    for name in 0..200 {
        for version in 1..=RECENT as u64 {
            tags.told(id(name), version);
        }
    }
    assert!(tags.count() <= 2);
}

#[test]
fn nothing_from_before_is_current_once_all_is_void() {
    let tags = Tags::default();
    let used = tags.now(id(1)).at(10);
    tags.void();
    assert!(!used.is_current());
    assert!(tags.now(id(1)).at(3).is_current());
}
