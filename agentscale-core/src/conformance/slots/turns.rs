//! Turns: who gets what comes free.

use super::SlotStoreHarness;
use super::scene::{Member, SECOND};
use crate::slots::TURN_KEPT_FOR;

/// Of members that wait the one that waits longest is next, and stands behind the others then.
pub async fn members_get_slots_in_turns(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut members = [Member::join(&store).await, Member::join(&store).await, Member::join(&store).await];
    for (member, expected) in members.iter_mut().zip([1, 0, 0]) {
        assert_eq!(member.exchange(1, 0, 1).await.0, expected);
    }
    for turn in 0..7 {
        let (has, next, last) = (turn % 3, (turn + 1) % 3, (turn + 2) % 3);
        // A run ends, and another one of the same instance waits.
        assert_eq!(members[has].exchange(1, 0, 1).await.0, 0, "turn {turn}");
        assert_eq!(members[last].exchange(1, 0, 1).await.0, 0, "turn {turn}");
        assert_eq!(members[next].exchange(1, 0, 1).await, (1, 1), "turn {turn}");
    }
}

/// Who waits alone gets all that is free; beside others each gets its part.
pub async fn those_who_wait_share_what_is_free(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let (mut one, mut other) = (Member::join(&store).await, Member::join(&store).await);
    assert_eq!(one.exchange(6, 0, 9).await, (6, 6));
    assert_eq!(other.exchange(6, 0, 9).await, (0, 6));
    assert_eq!(one.exchange(6, 0, 9).await, (3, 3));
    assert_eq!(other.exchange(6, 0, 9).await.0, 1, "the other one waits for three of these too");
    assert_eq!(one.exchange(6, 3, 3).await, (3, 4));
    assert_eq!(other.exchange(6, 1, 9).await, (3, 6));
}

/// A member that waits and is not heard of stands in nobody's way for longer than a moment.
pub async fn a_member_that_is_not_heard_of_loses_its_turn(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let (mut one, mut silent, mut other) =
        (Member::join(&store).await, Member::join(&store).await, Member::join(&store).await);
    assert_eq!(one.exchange(1, 0, 1).await, (1, 1));
    assert_eq!(silent.exchange(1, 0, 1).await, (0, 1));
    harness.pass(SECOND).await;
    assert_eq!(other.exchange(1, 0, 1).await, (0, 1));
    assert_eq!(one.exchange(1, 0, 0).await, (0, 0));
    harness.pass(TURN_KEPT_FOR).await;
    assert_eq!(other.exchange(1, 0, 1).await, (1, 1));
    // Its turn comes as soon as it asks again.
    assert_eq!(silent.exchange(1, 0, 1).await, (0, 1));
    assert_eq!(other.exchange(1, 0, 1).await, (0, 0));
    assert_eq!(silent.exchange(1, 0, 1).await, (1, 1));
}

/// Who waits no more, or has left, is in nobody's way.
pub async fn who_waits_no_more_is_in_nobodys_way(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let (mut one, mut tired, mut gone, mut other) = (
        Member::join(&store).await,
        Member::join(&store).await,
        Member::join(&store).await,
        Member::join(&store).await,
    );
    assert_eq!(one.exchange(1, 0, 1).await, (1, 1));
    for member in [&mut tired, &mut gone, &mut other] {
        assert_eq!(member.exchange(1, 0, 1).await, (0, 1));
    }
    assert_eq!(tired.exchange(1, 0, 0).await, (0, 1));
    gone.leave().await.expect("the member leaves");
    assert_eq!(one.exchange(1, 0, 1).await, (0, 0));
    assert_eq!(other.exchange(1, 0, 1).await, (1, 1));
}
