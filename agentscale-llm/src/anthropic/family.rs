//! What a model takes, told from its name. The API refuses with status 400 what a model does not take, and has no call
//! that tells before: `docs/decisions/0009-what-a-model-takes.md`.

use super::{SchemaForm, ThinkingForm};

/// Family and version of `claude-opus-4-7`, `claude-sonnet-4-5-20250929`, `claude-3-7-sonnet-latest` and the same names
/// behind a gateway's prefix.
struct Version<'a> {
    family: &'a str,
    number: (u8, u8),
}

/// The first version of each family that thinks as it sees fit. These refuse a budget of tokens, a temperature and
/// `top_p`; the versions before refuse the new way.
const ADAPTIVE_FROM: [(&str, (u8, u8)); 3] = [("haiku", (5, 0)), ("opus", (4, 7)), ("sonnet", (5, 0))];

/// How `model` is asked to think; models of other makers behind this API know the budget.
pub(super) fn thinking(model: &str) -> ThinkingForm {
    let Some(version) = Version::of(model) else {
        return if model.contains("claude") { ThinkingForm::Adaptive } else { ThinkingForm::Budget };
    };
    let adaptive_from = ADAPTIVE_FROM.iter().find(|(family, _)| *family == version.family);
    match adaptive_from {
        _ if version.number < (3, 7) => ThinkingForm::Never,
        Some((_, from)) if version.number < *from => ThinkingForm::Budget,
        _ => ThinkingForm::Adaptive,
    }
}

/// How `model` is asked for JSON.
pub(super) fn schema(model: &str) -> SchemaForm {
    let native = match Version::of(model) {
        Some(version) => version.number >= (4, 5) || (version.family, version.number) == ("opus", (4, 1)),
        None => model.contains("claude"),
    };
    if native { SchemaForm::Native } else { SchemaForm::Tool }
}

/// Whether `model` takes a temperature or `top_p`, but not both.
pub(super) fn takes_one_of_temperature_and_top_p(model: &str) -> bool {
    Version::of(model).is_some_and(|version| version.number >= (4, 5))
}

/// Whether `model`, which thinks as it sees fit, does so beside a demanded tool. The first of them refuses it.
pub(super) fn thinks_beside_a_demand(model: &str) -> bool {
    Version::of(model).is_none_or(|version| (version.family, version.number) != ("opus", (4, 7)))
}

/// Whether `model` goes on from words of the assistant. Those from 4.6 on refuse them; of other makers' it is not known.
pub(super) fn continues(model: &str) -> bool {
    Version::of(model).is_some_and(|version| version.number < (4, 6))
}

impl<'a> Version<'a> {
    fn of(model: &'a str) -> Option<Self> {
        let (_, name) = model.split_once("claude-")?;
        let words = || name.split(|letter: char| !letter.is_ascii_alphanumeric());
        let family = words().find(|word| word.starts_with(|letter: char| letter.is_ascii_alphabetic()))?;
        let is_number = |word: &&str| word.starts_with(|letter: char| letter.is_ascii_digit());
        let mut numbers = words().skip_while(|word| !is_number(word)).map_while(|word| word.parse().ok());
        // A date is no `u8`.
        Some(Self { family, number: (numbers.next()?, numbers.next().unwrap_or(0)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_model_takes() {
        for (model, expected_thinking, expected_schema) in [
            ("claude-3-5-haiku-20241022", ThinkingForm::Never, SchemaForm::Tool),
            ("claude-3-7-sonnet-latest", ThinkingForm::Budget, SchemaForm::Tool),
            ("claude-opus-4-20250514", ThinkingForm::Budget, SchemaForm::Tool),
            ("claude-opus-4-1-20250805", ThinkingForm::Budget, SchemaForm::Native),
            ("claude-sonnet-4-5-20250929", ThinkingForm::Budget, SchemaForm::Native),
            ("anthropic/claude-opus-4.6", ThinkingForm::Budget, SchemaForm::Native),
            ("claude-opus-4-7", ThinkingForm::Adaptive, SchemaForm::Native),
            ("claude-sonnet-5", ThinkingForm::Adaptive, SchemaForm::Native),
            ("claude-fable-5-1", ThinkingForm::Adaptive, SchemaForm::Native),
            ("claude-next", ThinkingForm::Adaptive, SchemaForm::Native),
            ("MiniMax-M2", ThinkingForm::Budget, SchemaForm::Tool),
        ] {
            assert_eq!((thinking(model), schema(model)), (expected_thinking, expected_schema), "{model}");
        }
        assert!(takes_one_of_temperature_and_top_p("claude-haiku-4-5"));
        assert!(!takes_one_of_temperature_and_top_p("claude-opus-4-20250514"));
        assert!(continues("claude-3-5-haiku-20241022") && continues("claude-sonnet-4-5-20250929"));
        for newer in
            ["anthropic/claude-opus-4.6", "claude-sonnet-4-6", "claude-sonnet-5", "claude-next", "MiniMax-M2"]
        {
            assert!(!continues(newer), "{newer}");
        }
    }
}
