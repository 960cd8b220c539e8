use serde::{Deserialize, Serialize};

use super::Money;

/// Tokens and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Tokens of input and output together.
    pub tokens: u64,
    /// Their price.
    pub money: Money,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self { tokens: 0, money: Money::ZERO };

    /// So many tokens of such a price.
    pub const fn new(tokens: u64, money: Money) -> Self {
        Self { tokens, money }
    }

    /// The sum of each.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        let tokens = self.tokens.saturating_add(other.tokens);
        Self { tokens, money: self.money.saturating_add(other.money) }
    }

    /// What is left of each, at least nothing.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        let tokens = self.tokens.saturating_sub(other.tokens);
        Self { tokens, money: self.money.saturating_sub(other.money) }
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { tokens: self.tokens.max(other.tokens), money: self.money.max(other.money) }
    }

    /// Whether neither is more than in `other`.
    pub fn is_within(self, other: Self) -> bool {
        self.tokens <= other.tokens && self.money <= other.money
    }
}

/// How much of a budget may be spent; what is `None` is counted and not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetLimit {
    /// Tokens of input and output together.
    pub tokens: Option<u64>,
    /// Their price.
    pub money: Option<Money>,
}

impl BudgetLimit {
    /// No limit.
    pub const fn new() -> Self {
        Self { tokens: None, money: None }
    }

    /// A limit of tokens.
    pub const fn of_tokens(tokens: u64) -> Self {
        Self { tokens: Some(tokens), money: None }
    }

    /// A limit of money.
    pub const fn of_money(money: Money) -> Self {
        Self { tokens: None, money: Some(money) }
    }

    /// Limits the tokens too.
    #[must_use]
    pub const fn with_tokens(mut self, tokens: u64) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Limits the money too.
    #[must_use]
    pub const fn with_money(mut self, money: Money) -> Self {
        self.money = Some(money);
        self
    }
}
