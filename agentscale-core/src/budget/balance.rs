use super::{Amount, Grant, GrantLine, Money};

/// The part of what is left above a holder's need that one exchange can grant at most.
const SHARE: u64 = 8;

/// What became of a budget: the arithmetic of every ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What was spent, and what was forfeited.
    pub spent: Amount,
    /// What is set aside for holders and not spent.
    pub reserved: Amount,
    /// What was set aside for holders that were not heard of again. It counts as spent.
    pub forfeited: Amount,
}

/// What one holder has of a budget, since it joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What was granted to it; at least what it spent.
    pub granted: Amount,
    /// What it spent.
    pub spent: Amount,
}

impl Held {
    /// What is set aside for it.
    pub fn rest(&self) -> Amount {
        self.granted.saturating_sub(self.spent)
    }
}

impl Balance {
    /// Settles and tops up what one holder has.
    pub fn exchange(&mut self, held: &mut Held, line: &GrantLine) -> Grant {
        let before = *held;
        held.spent = held.spent.max(line.spent);
        // What it holds above its wish goes back; what it spent beyond its grants was none of anyone's.
        let kept = Amount {
            tokens: before.granted.tokens.min(line.most.tokens),
            money: before.granted.money.min(line.most.money),
        };
        held.granted = kept.max(held.spent);
        self.spent = self.spent.saturating_add(held.spent.saturating_sub(before.spent));
        self.reserved = self.reserved.saturating_sub(before.rest());
        let used = self.spent.saturating_add(self.reserved);
        let tokens = Unit {
            held: held.granted.tokens,
            spent: held.spent.tokens,
            least: line.least.tokens,
            most: line.most.tokens,
        };
        let money = Unit {
            held: held.granted.money.as_nanos(),
            spent: held.spent.money.as_nanos(),
            least: line.least.money.as_nanos(),
            most: line.most.money.as_nanos(),
        };
        let (tokens, left_tokens) = tokens.grant(line.limit.tokens, used.tokens);
        let limit = line.limit.money.map(Money::as_nanos);
        let (money, left_money) = money.grant(limit, used.money.as_nanos());
        held.granted = Amount::new(tokens, Money::from_nanos(money));
        self.reserved = self.reserved.saturating_add(held.rest());
        Grant { granted: held.granted, left: Amount::new(left_tokens, Money::from_nanos(left_money)) }
    }

    /// A holder was not heard of: what was set aside for it counts as spent.
    pub fn forfeit(&mut self, held: Held) {
        self.release(held);
        self.spent = self.spent.saturating_add(held.rest());
        self.forfeited = self.forfeited.saturating_add(held.rest());
    }

    /// A holder leaves: what was set aside for it is there for others.
    pub fn release(&mut self, held: Held) {
        self.reserved = self.reserved.saturating_sub(held.rest());
    }
}

/// Tokens or money of one holder.
struct Unit {
    held: u64,
    spent: u64,
    least: u64,
    most: u64,
}

impl Unit {
    /// What the holder has then, and what is left for all. `used` is without what is set aside for this holder.
    fn grant(&self, limit: Option<u64>, used: u64) -> (u64, u64) {
        let Some(limit) = limit else { return (self.spent, u64::MAX) };
        let left = limit.saturating_sub(used).saturating_sub(self.held - self.spent);
        let needed = self.least.saturating_sub(self.held);
        let given = needed.min(left);
        let left = left - given;
        let wished = self.most.saturating_sub(self.held + given);
        // Who does not get what it needs gets no more on top.
        let extra = if given < needed { 0 } else { wished.min(left / SHARE) };
        (self.held + given + extra, left - extra)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::budget::{BudgetId, BudgetLimit, BudgetPeriod, BudgetScope};

    fn line(limit: u64, spent: u64, least: u64, most: u64) -> GrantLine {
        let amount = |tokens| Amount::new(tokens, Money::from_nanos(tokens));
        GrantLine {
            budget: BudgetId::at(BudgetScope::default(), BudgetPeriod::Forever, 0),
            limit: BudgetLimit::of_tokens(limit).with_money(Money::from_nanos(limit)),
            spent: amount(spent),
            least: amount(least),
            most: amount(most),
        }
    }

    proptest! {
        #[test]
        fn whatever_holders_ask_for_spent_and_set_aside_stay_within_the_limit(
            limit in 0_u64..10_000,
            steps in proptest::collection::vec((0_usize..4, 0_u64..100, 0_u64..4_000, 0_u64..4_000, 0_u8..20), 1..100),
        ) {
            let mut balance = Balance::default();
            let mut holders = [Held::default(); 4];
            for (holder, share, least, more, fate) in steps {
                let held = &mut holders[holder];
                match fate {
                    0 => balance.forfeit(std::mem::take(held)),
                    1 => balance.release(std::mem::take(held)),
                    _ => {
                        let spent = held.spent.tokens + held.rest().tokens * share / 100;
                        let grant = balance.exchange(held, &line(limit, spent, least, least + more));
                        prop_assert_eq!(grant.granted, held.granted);
                        prop_assert!(held.spent.is_within(held.granted));
                    }
                }
                let reserved: u64 = holders.iter().map(|held| held.rest().tokens).sum();
                prop_assert_eq!(balance.reserved.tokens, reserved);
                prop_assert_eq!(balance.reserved.money.as_nanos(), reserved);
                prop_assert!(balance.spent.tokens + reserved <= limit);
                prop_assert!(balance.forfeited.is_within(balance.spent));
            }
        }
    }
}
