//! Tables of events as data, `tables/<machine>.json`: a case has a configuration and steps of (milliseconds, event, what
//! is seen then). A row more is a step more.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::time::{Clock, ManualClock};
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

/// What a machine that waits for nothing answers to an event.
pub(super) type Machine = Box<dyn FnMut(&str) -> String>;

/// Runs each case on a machine of its own and a clock that follows the steps.
pub(super) fn run<C: DeserializeOwned>(
    table: &str,
    at_least: usize,
    build: impl Fn(C, Arc<ManualClock>) -> Machine,
) {
    for Case { name, config, steps } in cases(table, at_least) {
        let clock = Arc::new(ManualClock::new());
        let mut machine = build(config, clock.clone());
        for (at_ms, event, expected) in steps {
            let now = Duration::from_nanos(clock.now().as_nanos());
            clock.advance(Duration::from_millis(at_ms).checked_sub(now).expect("time goes forward"));
            assert_eq!(machine(&event), expected, "{name}: {at_ms} {event}");
        }
    }
}

/// An event's first word and the rest.
pub(super) fn words(event: &str) -> (&str, &str) {
    event.split_once(' ').unwrap_or((event, ""))
}
