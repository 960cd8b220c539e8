use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

const NANOS_A_DOLLAR: u64 = 1_000_000_000;
const DECIMALS: usize = 9;

/// An amount of US dollars in whole billionths: sums are exact, and 9.2 billion dollars fit the integers of every database.
///
/// Arithmetic stays at the largest amount where a sum does not fit. As text it is a decimal number of dollars.
///
/// ```
/// use agentscale_core::budget::Money;
///
/// let price: Money = "0.075".parse()?;
/// assert_eq!(price, Money::from_nanos(75_000_000));
/// assert_eq!(price.saturating_add(Money::from_dollars(2)).to_string(), "2.075");
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Money(u64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX.cast_unsigned());

    /// Billionths of a dollar, at most [`Self::MAX`].
    pub const fn from_nanos(nanos: u64) -> Self {
        if nanos > Self::MAX.0 { Self::MAX } else { Self(nanos) }
    }

    /// Whole dollars.
    pub const fn from_dollars(dollars: u64) -> Self {
        Self::from_nanos(dollars.saturating_mul(NANOS_A_DOLLAR))
    }

    /// Billionths of a dollar.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The sum.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self::from_nanos(self.0.saturating_add(other.0))
    }

    /// What is left, at least nothing.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl FromStr for Money {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || {
            Error::new(ErrorKind::InvalidInput, "read an amount of money")
                .with_context("text", text.chars().take(32).collect::<String>().escape_debug())
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || !is_number(whole)
            || !is_number(part)
            || part.len() > DECIMALS
            || text.ends_with('.')
        {
            return Err(refused());
        }
        let dollars: u64 = whole.parse().map_err(|_| refused())?;
        let nanos: u64 = format!("{part:0<DECIMALS$}").parse().map_err(|_| refused())?;
        let all = dollars.checked_mul(NANOS_A_DOLLAR).and_then(|all| all.checked_add(nanos));
        all.filter(|all| *all <= Self::MAX.0).map(Self).ok_or_else(refused)
    }
}

impl TryFrom<String> for Money {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Money> for String {
    fn from(money: Money) -> Self {
        money.to_string()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:09}", self.0 % NANOS_A_DOLLAR);
        let shown = part.trim_end_matches('0');
        let shown = if shown.len() < 2 { &part[..2] } else { shown };
        write!(f, "{}.{shown}", self.0 / NANOS_A_DOLLAR)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${self}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        for (text, nanos) in [("0", 0), ("12", 12_000_000_000), ("0.000000001", 1), ("1.50", 1_500_000_000)] {
            assert_eq!(text.parse::<Money>().unwrap().as_nanos(), nanos, "{text}");
        }
        for text in ["", ".5", "1.", "-1", "+1", "1e3", "1,5", "0.0000000001", "9223372037", "1.2.3", " 1"] {
            assert_eq!(text.parse::<Money>().unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
        }
        assert_eq!(Money::from_dollars(3).to_string(), "3.00");
        assert_eq!(Money::from_nanos(u64::MAX), Money::MAX);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(nanos in 0..=Money::MAX.0) {
            let money = Money::from_nanos(nanos);
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        }
    }
}
