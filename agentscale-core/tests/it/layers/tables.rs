//! Tables of events as data: a case has a configuration and steps of (milliseconds, event, what is seen then).

use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case<C> {
    pub(super) name: String,
    pub(super) config: C,
    pub(super) steps: Vec<(u64, String, String)>,
}

/// The cases of a table, of which there are at least so many.
pub(super) fn cases<C: DeserializeOwned>(table: &str, at_least: usize) -> Vec<Case<C>> {
    let cases: Vec<Case<C>> = serde_json::from_str(table).unwrap();
    assert!(cases.len() >= at_least, "cases were lost");
    cases
}
