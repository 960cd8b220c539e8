use agentscale_core::budget::Money;
use agentscale_core::llm::{CacheRetention, Usage};
use serde::{Deserialize, Serialize};

const MILLION: u128 = 1_000_000;

/// Prices of a million tokens, by what they were used for.
///
/// ```
/// use agentscale_core::budget::Money;
/// use agentscale_core::llm::{CacheRetention, Usage};
/// use agentscale_llm::prices::Price;
///
/// let price = Price::new("3".parse()?, "15".parse()?).with_cached_input("0.30".parse()?);
/// let usage = Usage::new(10_000, 200).with_cached(8_000);
/// assert_eq!(price.cost(usage, CacheRetention::Standard), "0.0114".parse()?);
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Price {
    /// Input that has no price of its own.
    pub input: Money,
    /// Input that was read from the provider's prompt cache; as other input where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Money>,
    /// Input that was written to the prompt cache; as other input where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Money>,
    /// Input that was written to the prompt cache for the longest time; as `cache_write` where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_cache_write: Option<Money>,
    /// Output.
    pub output: Money,
    /// Output that the model thought with; as other output where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Money>,
}

impl Price {
    /// Nothing: a model on machines of the host's own.
    pub const FREE: Self = Self::new(Money::ZERO, Money::ZERO);

    /// One price for all input and one for all output.
    pub const fn new(input: Money, output: Money) -> Self {
        Self { input, cached_input: None, cache_write: None, long_cache_write: None, output, reasoning: None }
    }

    /// Sets the price of input that was read from the prompt cache.
    #[must_use]
    pub const fn with_cached_input(mut self, price: Money) -> Self {
        self.cached_input = Some(price);
        self
    }

    /// Sets the prices of input that was written to the prompt cache, for the provider's own time and for the longest.
    #[must_use]
    pub const fn with_cache_write(mut self, standard: Money, long: Money) -> Self {
        (self.cache_write, self.long_cache_write) = (Some(standard), Some(long));
        self
    }

    /// Sets the price of output that the model thought with.
    #[must_use]
    pub const fn with_reasoning(mut self, price: Money) -> Self {
        self.reasoning = Some(price);
        self
    }

    /// The price of a call, rounded up to the next billionth of a dollar.
    pub fn cost(&self, usage: Usage, retention: CacheRetention) -> Money {
        let (cached, written) = (usage.cached_input_tokens, usage.cache_write_input_tokens);
        let plain = usage.input_tokens.saturating_sub(cached).saturating_sub(written);
        let spoken = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
        let write = self.cache_write.unwrap_or(self.input);
        let write = match retention {
            CacheRetention::Long => self.long_cache_write.unwrap_or(write),
            _ => write,
        };
        sum([
            (plain, self.input),
            (cached, self.cached_input.unwrap_or(self.input)),
            (written, write),
            (spoken, self.output),
            (usage.reasoning_tokens, self.reasoning.unwrap_or(self.output)),
        ])
    }

    /// The most that so many tokens can cost, whatever they are used for.
    pub fn most(&self, input_tokens: u64, output_tokens: u64) -> Money {
        let input = [Some(self.input), self.cached_input, self.cache_write, self.long_cache_write];
        let output = [Some(self.output), self.reasoning];
        let highest = |prices: &[Option<Money>]| prices.iter().flatten().max().copied().unwrap_or_default();
        sum([(input_tokens, highest(&input)), (output_tokens, highest(&output))])
    }
}

/// What a model costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelPrice {
    base: Price,
    above: Option<LongInput>,
}

/// Prices of calls whose whole input is longer than that of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongInput {
    /// They hold for calls of more input tokens than this.
    pub input_tokens: u64,
    /// The prices, of all tokens of such a call.
    pub price: Price,
}

impl ModelPrice {
    /// One price for calls of any length.
    pub const fn new(price: Price) -> Self {
        Self { base: price, above: None }
    }

    /// Sets other prices for calls with long input.
    #[must_use]
    pub const fn with_long_input(mut self, above: LongInput) -> Self {
        self.above = Some(above);
        self
    }

    /// The price of a call.
    pub fn cost(&self, usage: Usage, retention: CacheRetention) -> Money {
        match self.above {
            Some(above) if usage.input_tokens > above.input_tokens => above.price.cost(usage, retention),
            _ => self.base.cost(usage, retention),
        }
    }

    /// The most that a call can cost whose tokens stay within these.
    pub fn most(&self, input_tokens: u64, output_tokens: u64) -> Money {
        let base = self.base.most(input_tokens, output_tokens);
        match self.above {
            Some(above) if input_tokens > above.input_tokens => {
                base.max(above.price.most(input_tokens, output_tokens))
            }
            _ => base,
        }
    }
}

impl From<Price> for ModelPrice {
    fn from(price: Price) -> Self {
        Self::new(price)
    }
}

/// A million times the price of so many tokens fits 128 bits; it is divided once.
fn sum<const N: usize>(parts: [(u64, Money); N]) -> Money {
    let parts = parts.map(|(tokens, price)| u128::from(tokens) * u128::from(price.as_nanos()));
    let millionths = parts.into_iter().fold(0_u128, u128::saturating_add);
    Money::from_nanos(u64::try_from(millionths.div_ceil(MILLION)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn dear() -> ModelPrice {
        let base = Price::new(money("3"), money("15"))
            .with_cached_input(money("0.30"))
            .with_cache_write(money("3.75"), money("6"))
            .with_reasoning(money("20"));
        let long = Price::new(money("6"), money("22.50"));
        ModelPrice::new(base).with_long_input(LongInput { input_tokens: 200_000, price: long })
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let million = |set: fn(Usage) -> Usage| set(Usage::default());
        let cost = |usage, retention| dear().base.cost(usage, retention).to_string();
        let standard = CacheRetention::Standard;
        assert_eq!(cost(million(|_| Usage::new(1_000_000, 0)), standard), "3.00");
        assert_eq!(cost(Usage::new(1_000_000, 0).with_cached(1_000_000), standard), "0.30");
        assert_eq!(cost(Usage::new(1_000_000, 0).with_cache_write(1_000_000), standard), "3.75");
        assert_eq!(cost(Usage::new(1_000_000, 0).with_cache_write(1_000_000), CacheRetention::Long), "6.00");
        assert_eq!(cost(Usage::new(0, 1_000_000), standard), "15.00");
        assert_eq!(cost(Usage::new(0, 1_000_000).with_reasoning(400_000), standard), "17.00");
        assert_eq!(dear().cost(Usage::new(200_001, 0), standard), money("1.200006"));
        assert_eq!(dear().cost(Usage::new(200_000, 0), standard), money("0.60"));
    }

    #[test]
    fn a_part_of_a_billionth_is_a_whole_one() {
        let price = Price::new(money("0.000001"), Money::ZERO);
        assert_eq!(price.cost(Usage::new(1, 0), CacheRetention::Standard), Money::from_nanos(1));
        assert_eq!(Price::FREE.cost(Usage::new(u64::MAX, 5), CacheRetention::Standard), Money::ZERO);
    }

    proptest! {
        #[test]
        fn no_call_costs_more_than_the_most(
            input in 0_u64..400_000, output in 0_u64..100_000,
            shares in proptest::array::uniform5(0_u64..=100), long in proptest::bool::ANY,
        ) {
            let used_input = input * shares[0] / 100;
            let cached = used_input * shares[1] / 100;
            let written = (used_input - cached) * shares[2] / 100;
            let used_output = output * shares[3] / 100;
            let usage = Usage::new(used_input, used_output)
                .with_cached(cached)
                .with_cache_write(written)
                .with_reasoning(used_output * shares[4] / 100);
            let retention = if long { CacheRetention::Long } else { CacheRetention::Standard };
            prop_assert!(dear().cost(usage, retention) <= dear().most(input, output));
        }
    }
}
