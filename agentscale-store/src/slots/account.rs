use agentscale_core::slots::{SlotGrant, SlotLine};

/// What one member has of an account, and wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    /// The counter of the member's epoch.
    pub(crate) member: u64,
    pub(crate) held: u32,
    pub(crate) wanted: u32,
    /// Since when it waits for more.
    pub(crate) since: u64,
}

impl Hold {
    fn waits(&self) -> bool {
        self.wanted > self.held
    }
}

/// Takes and gives back the slots of one member. `is_heard` says which of the others still have their turn.
pub(crate) fn exchange(
    holds: &mut Vec<Hold>,
    member: u64,
    line: &SlotLine,
    now: u64,
    is_heard: impl Fn(u64) -> bool,
) -> SlotGrant {
    let place = holds.iter().position(|hold| hold.member == member);
    let before = place.map(|place| holds.swap_remove(place));
    let kept = before.map_or(0, |before| before.held.min(line.used));
    // Behind all others, though the clock stand still or step back.
    let now = holds.iter().map(|hold| hold.since + 1).fold(now, u64::max);
    let since = before.filter(Hold::waits).map_or(now, |before| before.since);
    let others: u32 = holds.iter().map(|hold| hold.held).sum();
    let free = line.limit.saturating_sub(others).saturating_sub(kept);
    let waiting = holds.iter().filter(|hold| hold.waits() && is_heard(hold.member));
    let (mut all, mut ahead) = (0, 0);
    for hold in waiting {
        all += 1;
        ahead += u32::from((hold.since, hold.member) < (since, member));
    }
    let taken = share(free, all, ahead).min(line.wanted - kept);
    let after = Hold {
        member,
        held: kept + taken,
        wanted: line.wanted,
        // Who has got one stands behind the others.
        since: if taken > 0 { now } else { since },
    };
    if after.held > 0 || after.wanted > 0 {
        holds.push(after);
    }
    SlotGrant::new(after.held, others + after.held)
}

/// How many of the free slots are one member's, beside whom so many others wait, some of them ahead of it.
fn share(free: u32, others: u32, ahead: u32) -> u32 {
    if others == 0 { free } else { (free / (others + 1)).max(u32::from(ahead < free)) }
}

#[cfg(test)]
mod tests {
    use agentscale_core::Tenant;
    use agentscale_core::slots::SlotKey;
    use proptest::prelude::*;

    use super::*;

    fn line(limit: u32, used: u32, wanted: u32) -> SlotLine {
        let key = SlotKey::new(Tenant::new("acme").unwrap(), None);
        SlotLine { key, limit, used, wanted }
    }

    proptest! {
        #[test]
        fn whatever_members_say_they_never_have_more_than_the_limit_together(
            limit in 0_u32..6,
            steps in proptest::collection::vec((0_u64..4, 0_u32..6, 0_u32..6, any::<bool>()), 1..200),
        ) {
            let mut holds = Vec::new();
            for (now, (member, used, more, is_heard)) in (1_u64..).zip(steps) {
                let grant = exchange(&mut holds, member, &line(limit, used, used + more), now, |_| is_heard);
                let all: u32 = holds.iter().map(|hold| hold.held).sum();
                prop_assert!(all <= limit);
                prop_assert_eq!(grant.all, all);
                prop_assert!(grant.held <= used + more);
            }
        }

        #[test]
        fn one_slot_goes_round(order in proptest::collection::vec(0_usize..4, 400)) {
            let mut holds = Vec::new();
            let mut got = [0_u32; 4];
            for member in (0..4).chain(order) {
                // Each run ends at once, and another one waits. The clock stands still.
                got[member] += exchange(&mut holds, member as u64, &line(1, 0, 1), 1, |_| true).held;
                let (most, least) = (*got.iter().max().unwrap(), *got.iter().min().unwrap());
                prop_assert!(least + 1 >= most, "{got:?}");
            }
        }
    }
}
