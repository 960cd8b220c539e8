//! Members: who holds slots, and until when.

use std::collections::HashSet;
use std::time::Duration;

use super::SlotStoreHarness;
use super::scene::{Member, SECOND, TTL, held, line};
use crate::ErrorKind;
use crate::lease::MAX_TTL;
use crate::slots::{Epoch, JoinRequest, SlotExchange};

/// Each member has an epoch that no other has, those that left included.
pub async fn no_two_members_have_one_epoch(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut seen = HashSet::new();
    for round in 0..10 {
        let member = Member::join(&store).await;
        assert!(seen.insert(member.epoch));
        if round % 2 == 0 {
            member.leave().await.expect("the member leaves");
        }
    }
}

/// An epoch that the store did not give, or that has left, is `fenced`.
pub async fn who_never_joined_is_fenced(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut member = Member::join(&store).await;
    member.leave().await.expect("the member leaves");
    for epoch in [member.epoch, Epoch { incarnation: 7, counter: 7_000 }] {
        member.epoch = epoch;
        let refused = member.try_exchange(vec![line("alice", 5, 0, 1)]).await;
        assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
        assert_eq!(member.leave().await.expect_err("it is refused").kind(), ErrorKind::Fenced);
    }
    assert_eq!(held(&store).await, 0);
}

/// Who leaves gives back all.
pub async fn who_leaves_gives_back_all(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let (mut one, mut other) = (Member::join(&store).await, Member::join(&store).await);
    assert_eq!(one.exchange(3, 0, 3).await, (3, 3));
    one.leave().await.expect("the member leaves");
    assert_eq!(held(&store).await, 0);
    assert_eq!(other.exchange(3, 0, 3).await, (3, 3));
}

/// The slots of a member whose lease has ended are free, at the latest for the second who asks.
pub async fn the_slots_of_a_member_that_is_not_heard_of_are_free(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut lost = Member::join(&store).await;
    assert_eq!(lost.exchange(3, 0, 3).await, (3, 3));
    harness.pass(TTL - SECOND).await;
    let mut other = Member::join(&store).await;
    assert_eq!(other.exchange(3, 0, 3).await, (0, 3), "its lease lasts");
    harness.pass(SECOND).await;
    assert_eq!(held(&store).await, 0);
    other.exchange(3, 0, 3).await;
    assert_eq!(other.exchange(3, 0, 3).await, (3, 3));
}

/// Each exchange renews the lease, one without lines too.
pub async fn an_exchange_renews_the_lease(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut member = Member::join(&store).await;
    assert_eq!(member.exchange(3, 0, 2).await, (2, 2));
    for _ in 0..4 {
        harness.pass(SECOND * 10).await;
        member.try_exchange(Vec::new()).await.expect("the lease was renewed");
    }
    Member::join(&store).await;
    assert_eq!(held(&store).await, 2);
}

/// A member whose lease has ended is `fenced`, whatever it wants, and what others have stays theirs.
pub async fn a_stale_member_is_fenced_and_changes_nothing(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut frozen = Member::join(&store).await;
    assert_eq!(frozen.exchange(2, 0, 2).await, (2, 2));
    harness.pass(TTL).await;
    // Nobody else has come by meanwhile.
    let refused = frozen.try_exchange(vec![line("alice", 2, 2, 2)]).await;
    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
    let mut other = Member::join(&store).await;
    assert_eq!(other.exchange(2, 0, 1).await, (1, 1));
    let released = frozen.try_exchange(vec![line("alice", 2, 0, 0)]).await;
    assert_eq!(released.expect_err("it is refused").kind(), ErrorKind::Fenced);
    assert_eq!(frozen.leave().await.expect_err("it is refused").kind(), ErrorKind::Fenced);
    assert_eq!(held(&store).await, 1);
}

/// An exchange that arrives behind a later one, or twice, is a `conflict` and changes nothing.
pub async fn an_older_exchange_is_a_conflict(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut member = Member::join(&store).await;
    member.sequence = 6;
    assert_eq!(member.exchange(3, 0, 3).await, (3, 3));
    for sequence in [6, 7] {
        let older = SlotExchange::new(member.epoch, sequence, TTL).with_lines(vec![line("alice", 3, 0, 0)]);
        let refused = store.exchange(older).await;
        assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Conflict);
    }
    assert_eq!(held(&store).await, 3);
}

/// Who does not know the answer says again what is so, and has no more than it would have had.
pub async fn an_exchange_says_what_is_so(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut member = Member::join(&store).await;
    for _ in 0..3 {
        assert_eq!(member.exchange(9, 0, 2).await, (2, 2));
    }
    assert_eq!(member.exchange(9, 2, 2).await, (2, 2));
}

/// No time at all, and more than a day, are `invalid_input`.
pub async fn a_time_out_of_bounds_is_invalid(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let member = Member::join(&store).await;
    for ttl in [Duration::ZERO, MAX_TTL + SECOND] {
        let joined = store.join(JoinRequest::new(ttl)).await;
        assert_eq!(joined.expect_err("it is refused").kind(), ErrorKind::InvalidInput);
        let exchanged = store.exchange(SlotExchange::new(member.epoch, 1, ttl)).await;
        assert_eq!(exchanged.expect_err("it is refused").kind(), ErrorKind::InvalidInput);
    }
}
