//! Taking slots and giving them back.

use std::sync::Arc;

use super::SlotStoreHarness;
use super::scene::{Member, held, key, line};
use crate::slots::{SlotKey, SlotLine};
use crate::{ErrorKind, Tenant};

/// A member has what it wants where it is free, and else as much as is free.
pub async fn slots_are_given_as_far_as_the_limit_goes(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let (mut one, mut other) = (Member::join(&store).await, Member::join(&store).await);
    assert_eq!(one.exchange(3, 0, 2).await, (2, 2));
    assert_eq!(other.exchange(3, 0, 2).await, (1, 3));
    assert_eq!(one.exchange(3, 2, 4).await, (2, 3));
    assert_eq!(held(&store).await, 3);
    assert_eq!(Member::join(&store).await.exchange(0, 0, 1).await, (0, 3));
}

/// What a member has above what it uses is there for others.
pub async fn what_is_not_used_goes_back(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let (mut one, mut other) = (Member::join(&store).await, Member::join(&store).await);
    assert_eq!(one.exchange(3, 0, 3).await, (3, 3));
    assert_eq!(one.exchange(3, 1, 1).await, (1, 1));
    assert_eq!(other.exchange(3, 0, 3).await, (2, 3));
    assert_eq!(one.exchange(3, 0, 0).await, (0, 2));
    assert_eq!(other.exchange(3, 0, 0).await, (0, 0));
    assert_eq!(held(&store).await, 0);
}

/// Under a lower limit the slots in use stay, and none are given until there are fewer.
pub async fn under_a_lower_limit_none_are_given_until_there_are_fewer(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let (mut one, mut other) = (Member::join(&store).await, Member::join(&store).await);
    assert_eq!(one.exchange(5, 0, 4).await, (4, 4));
    assert_eq!(one.exchange(2, 4, 5).await, (4, 4));
    assert_eq!(one.exchange(2, 3, 3).await, (3, 3));
    assert_eq!(other.exchange(2, 0, 1).await, (0, 3));
    assert_eq!(one.exchange(2, 2, 2).await, (2, 2));
    assert_eq!(other.exchange(2, 0, 1).await, (0, 2));
    assert_eq!(one.exchange(2, 1, 1).await, (1, 1));
    assert_eq!(other.exchange(2, 0, 1).await, (1, 2));
}

/// A higher limit holds from the next exchange on.
pub async fn under_a_higher_limit_more_are_given_at_once(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut member = Member::join(&store).await;
    assert_eq!(member.exchange(1, 0, 3).await, (1, 1));
    assert_eq!(member.exchange(3, 1, 3).await, (3, 3));
}

/// Accounts of other names or tenants, and runs without an account, have nothing to do with each other.
pub async fn accounts_are_apart(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut member = Member::join(&store).await;
    let tenant = |name| Tenant::new(name).expect("a name");
    let keys = [
        key("alice"),
        key("bob"),
        SlotKey::new(tenant("acme"), None),
        SlotKey::new(tenant("other"), None),
        SlotKey::new(tenant("other"), key("alice").account),
        key("Alice"),
    ];
    for (key, wanted) in keys.iter().zip(1..) {
        let line = SlotLine { key: key.clone(), limit: 9, used: 0, wanted };
        let grants = member.try_exchange(vec![line]).await.expect("the store exchanges");
        assert_eq!((grants[0].held, grants[0].all), (wanted, wanted));
    }
    assert_eq!(store.held(&keys).await.expect("the store is read"), [1, 2, 3, 4, 5, 6]);
}

/// One exchange is for many accounts, each for itself.
pub async fn one_exchange_has_a_grant_for_each_line(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut member = Member::join(&store).await;
    let lines = (0..100).map(|limit| line(&format!("account {limit}"), limit, 0, 50)).collect();
    let grants = member.try_exchange(lines).await.expect("the store exchanges");
    let got: Vec<_> = grants.iter().map(|grant| grant.held).collect();
    assert_eq!(got, (0..100).map(|limit| limit.min(50)).collect::<Vec<_>>());
    assert!(member.try_exchange(Vec::new()).await.expect("the store exchanges").is_empty());
}

/// A line that uses more than it wants, or an account that stands twice, is `invalid_input`, and no line has an effect.
pub async fn a_line_that_makes_no_sense_is_refused_with_all_others(harness: &dyn SlotStoreHarness) {
    let store = harness.start().await;
    let mut member = Member::join(&store).await;
    let good = line("alice", 5, 0, 1);
    for wrong in [line("bob", 5, 2, 1), good.clone()] {
        let refused = member.try_exchange(vec![good.clone(), wrong]).await;
        assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(held(&store).await, 0);
}

/// Members that ask at once together have what there is and no more.
pub async fn many_members_at_once_stay_within_the_limit(harness: &dyn SlotStoreHarness) {
    const LIMIT: u32 = 5;
    let store = harness.start().await;
    let members: Vec<_> = (0..16_u32)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut member = Member::join(&store).await;
                let mut used = 0;
                for round in 0..20 {
                    used = used.min((number + round) % 4);
                    let (held, all) = member.exchange(LIMIT, used, used + 1 + (number * round) % 3).await;
                    assert!(all <= LIMIT, "{all}");
                    used = held;
                }
                used
            })
        })
        .collect();
    let mut used = 0;
    for member in members {
        used += member.await.expect("the member ends");
    }
    assert_eq!(held(&store).await, used);
    assert!(used <= LIMIT);
}
