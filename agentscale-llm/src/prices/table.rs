use std::collections::HashMap;

use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{LongInput, ModelPrice, Price};

/// Prices by model.
///
/// A name is looked up with its pool before it, as `azure/gpt-4o`, and then alone. Among the entries of either the longest one
/// counts that the name begins with, if what follows is a version and nothing else: `-`, `@` or `:` and a number of three digits or more, or
/// `latest`, `preview` or `exp`, and then only more of these or numbers. So `gpt-4o` stands for `gpt-4o-2024-08-06` and not for
/// `gpt-4o-mini`, and a model that the table does not know has no price rather than that of a cheaper one.
///
/// ```
/// use agentscale_llm::prices::{Price, PriceTable};
///
/// let prices = PriceTable::built_in().with("rack/llama-3.3-70b", Price::FREE);
/// assert!(prices.find("openai", "gpt-4o-2024-08-06").is_some());
/// assert!(prices.find("openai", "gpt-4o-of-tomorrow").is_none());
/// assert!(prices.find("rack", "llama-3.3-70b").is_some());
/// assert!(prices.find("elsewhere", "llama-3.3-70b").is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PriceTable {
    prices: HashMap<String, ModelPrice>,
    default: Option<ModelPrice>,
}

/// One model of a file of prices, with where its figures are from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PriceEntry {
    /// The provider, for the reader.
    pub provider: String,
    /// The beginning of the model's name.
    pub model: String,
    /// The day of the figures, as `2026-06-12`.
    pub as_of: String,
    /// Where they were read.
    pub source: String,
    /// Prices of a million tokens, in dollars.
    pub price: Price,
    /// Prices of calls with long input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<LongInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    models: Vec<PriceEntry>,
}

const BUILT_IN: &str = include_str!("../prices.json");

impl PriceTable {
    /// No prices.
    pub fn new() -> Self {
        Self::default()
    }

    /// The list prices that this version knows, of the days that stand in `agentscale-llm/src/prices.json`. Of a price that is
    /// lower for a time, or at some hours, the higher one stands there, so that no budget is overspent. Prices
    /// change, and discounts are the host's own: [`Self::with`] and [`Self::extended`] put others in their place.
    pub fn built_in() -> Self {
        Self::new().extended(built_in_entries())
    }

    /// Prices in the form of `agentscale-llm/src/prices.json`.
    ///
    /// # Errors
    /// `invalid_input` for another form, or a model that stands twice.
    pub fn from_json(json: &str) -> Result<Self> {
        let refused = || Error::new(ErrorKind::InvalidInput, "read prices");
        let file: File = serde_json::from_str(json).map_err(|error| refused().with_source(error))?;
        let mut table = Self::new();
        for entry in file.models {
            if table.prices.contains_key(&entry.model) {
                return Err(refused()
                    .with_context("model", entry.model.escape_debug())
                    .with_context("reason", "stands twice"));
            }
            table = table.extended([entry]);
        }
        Ok(table)
    }

    /// Adds a model, or puts its price in the place of another.
    #[must_use]
    pub fn with(mut self, model: impl Into<String>, price: impl Into<ModelPrice>) -> Self {
        self.prices.insert(model.into(), price.into());
        self
    }

    /// Adds models, or puts their prices in the place of others.
    #[must_use]
    pub fn extended(mut self, entries: impl IntoIterator<Item = PriceEntry>) -> Self {
        for entry in entries {
            let price = ModelPrice::new(entry.price);
            let price = entry.above.map_or(price, |above| price.with_long_input(above));
            self.prices.insert(entry.model, price);
        }
        self
    }

    /// Sets the price of models that it does not know. Without one they have none.
    #[must_use]
    pub fn with_default(mut self, price: impl Into<ModelPrice>) -> Self {
        self.default = Some(price.into());
        self
    }

    /// The price of `model` as it is called through `pool`.
    pub fn find(&self, pool: &str, model: &str) -> Option<ModelPrice> {
        self.longest(&format!("{pool}/{model}")).or_else(|| self.longest(model)).or(self.default)
    }

    fn longest(&self, name: &str) -> Option<ModelPrice> {
        let ends =
            name.char_indices().rev().filter(|(_, c)| matches!(c, '-' | '@' | ':')).map(|(end, _)| end);
        let mut beginnings = std::iter::once(name.len()).chain(ends).filter(|end| is_version(&name[*end..]));
        beginnings.find_map(|end| self.prices.get(&name[..end]).copied())
    }
}

/// Whether what follows a model's name tells versions of it apart, and not another model.
fn is_version(rest: &str) -> bool {
    let mut parts = rest.split(['-', '@', ':']).skip(1);
    let is_word = |part: &str| matches!(part, "latest" | "preview" | "exp");
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.next() {
        None => true,
        Some(first) if is_word(first) || (is_number(first) && first.len() >= 3) => {
            parts.all(|part| is_word(part) || is_number(part))
        }
        Some(_) => false,
    }
}

fn built_in_entries() -> Vec<PriceEntry> {
    // The file is a part of this crate, and a test reads it.
    serde_json::from_str(BUILT_IN).map_or_else(|_| Vec::new(), |file: File| file.models)
}

#[cfg(test)]
mod tests {
    use agentscale_core::budget::Money;
    use agentscale_core::llm::{CacheRetention, Usage};

    use super::*;

    fn of(dollars: u64) -> Price {
        Price::new(Money::from_dollars(dollars), Money::ZERO)
    }

    fn input(table: &PriceTable, pool: &str, model: &str) -> Option<u64> {
        table.find(pool, model).map(|price| price.most(1_000_000, 0).as_nanos() / 1_000_000_000)
    }

    #[test]
    fn the_longest_beginning_counts_if_only_a_version_follows() {
        let table =
            PriceTable::new().with("gpt-4o", of(1)).with("gpt-4o-mini", of(2)).with("claude-opus-4", of(3));
        for (model, expected) in [
            ("gpt-4o", Some(1)),
            ("gpt-4o-2024-08-06", Some(1)),
            ("gpt-4o-mini-2024-07-18", Some(2)),
            ("gpt-4o-latest", Some(1)),
            ("gpt-4o-preview-04-17", Some(1)),
            ("claude-opus-4@20250514", Some(3)),
            ("claude-opus-4-20250514", Some(3)),
            ("claude-opus-4-7", None),
            ("gpt-4o-audio-preview", None),
            ("gpt-4o-", None),
            ("gpt-4", None),
            ("gpt-4omni", None),
            ("", None),
        ] {
            assert_eq!(input(&table, "p", model), expected, "{model}");
        }
    }

    #[test]
    fn a_pools_own_price_comes_first_and_the_default_last() {
        let table = PriceTable::new().with("m", of(1)).with("azure/m", of(2)).with_default(of(9));
        let found = ["azure", "openai"].map(|pool| input(&table, pool, "m"));
        assert_eq!((found, input(&table, "azure", "n")), ([Some(2), Some(1)], Some(9)));
    }

    #[test]
    fn the_built_in_prices_are_read_and_each_tells_where_it_is_from() {
        let table = PriceTable::from_json(BUILT_IN).unwrap();
        assert_eq!(table, PriceTable::built_in());
        assert!(table.prices.len() >= 30);
        for entry in built_in_entries() {
            assert!(entry.source.starts_with("https://"), "{}", entry.model);
            assert_eq!((entry.as_of.len(), &entry.as_of[..2]), (10, "20"), "{}", entry.model);
            let embeds = entry.model.contains("embedding");
            assert!(entry.price.input > Money::ZERO && (embeds || entry.price.output >= entry.price.input));
            assert!(
                entry.price.cached_input.is_none_or(|cached| cached < entry.price.input),
                "{}",
                entry.model
            );
            assert!(entry.above.is_none_or(|above| above.price.input > entry.price.input), "{}", entry.model);
        }
    }

    #[test]
    fn models_of_each_provider_have_a_price_by_the_names_that_they_are_called_by() {
        let table = PriceTable::built_in();
        for (model, input) in [
            ("claude-opus-5-5-20260922", "4"),
            ("claude-sonnet-4-5-20250929", "3"),
            ("gpt-6.2-sol", "2"),
            ("gpt-5.6", "5"),
            ("gemini-3.1-pro-preview", "2"),
            ("gemini-3.8-flash", "1.50"),
            ("mistral-medium-latest", "1.50"),
            ("mistral-large-2512", "0.50"),
            ("deepseek-flash", "0.30"),
        ] {
            let of_a_thousand =
                |price: ModelPrice| price.cost(Usage::new(1_000, 0), CacheRetention::Standard);
            let expected = Price::new(input.parse().unwrap(), Money::ZERO).into();
            let found = table.find("p", model).map(of_a_thousand);
            assert_eq!(found, Some(of_a_thousand(expected)), "{model}");
        }
        // One that is told apart by a word is not known by its beginning.
        for model in ["claude-opus-5-6", "gpt-6.2", "gpt-6.2-sol-mini", "mistral-large-latest"] {
            assert_eq!(table.find("p", model), None, "{model}");
        }
    }

    #[test]
    fn another_form_is_refused() {
        let entry = r#"{"provider":"p","model":"m","as_of":"2026-01-01","source":"https://x","price":{"input":"1","output":"2"}}"#;
        PriceTable::from_json(&format!(r#"{{"models":[{entry}]}}"#)).unwrap();
        for json in [
            String::new(),
            format!(r#"{{"models":[{entry},{entry}]}}"#),
            format!(r#"{{"models":[{entry}],"more":1}}"#),
            entry.to_owned(),
            format!(r#"{{"models":[{}]}}"#, entry.replace(r#""1""#, r#""-1""#)),
            format!(r#"{{"models":[{}]}}"#, entry.replace(r#""output""#, r#""outputs""#)),
        ] {
            assert_eq!(PriceTable::from_json(&json).unwrap_err().kind(), ErrorKind::InvalidInput, "{json}");
        }
    }
}
