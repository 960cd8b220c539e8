//! From text to values, within bounds.

use std::borrow::Cow;

use agentscale_core::{Error, ErrorKind, Result};
use serde_saphyr::MergeKeyPolicy;

use super::{Configuration, OPERATION};

/// The longest file.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Before a value that is none of those that there are.
const UNKNOWN_VARIANT: &str = "unknown variant `";

/// The longest reason that an error gives.
const MAX_REASON_BYTES: usize = 400;

pub(super) fn toml(text: &str) -> Result<Configuration> {
    check_length(text)?;
    toml::from_str(text).map_err(|error| {
        let place = error.span().map(|span| place(text, span.start));
        wrong(place, error.message())
    })
}

pub(super) fn yaml(text: &str) -> Result<Configuration> {
    check_length(text)?;
    let budget = serde_saphyr::budget! {
        max_events: 200_000,
        max_nodes: 100_000,
        max_aliases: 1_000,
        max_anchors: 1_000,
        max_depth: 32,
        max_documents: 1,
        max_total_scalar_bytes: 2 * MAX_BYTES,
    };
    let mut options = serde_saphyr::options! {
        budget: budget,
        with_snippet: false,
        strict_booleans: true,
        merge_keys: MergeKeyPolicy::Merge,
    };
    options.alias_limits.max_total_replayed_events = 100_000;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|place| (place.line(), place.column()));
        let message = error.to_string();
        // The place stands in fields of its own.
        wrong(place, message.lines().next().unwrap_or_default().split(" at line ").next().unwrap_or_default())
    })
}

fn check_length(text: &str) -> Result<()> {
    match text.len() {
        0..=MAX_BYTES => Ok(()),
        _ => Err(Error::new(ErrorKind::TooLarge, OPERATION).with_context("limit_bytes", MAX_BYTES)),
    }
}

fn wrong(place: Option<(u64, u64)>, reason: &str) -> Error {
    let error = Error::new(ErrorKind::InvalidInput, OPERATION);
    let error = match place {
        Some((line, column)) => error.with_context("line", line).with_context("column", column),
        None => error,
    };
    error.with_context("reason", hide_values(reason))
}

/// The line and the column of a byte, counted from 1.
fn place(text: &str, at: usize) -> (u64, u64) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() as u64 + 1, line.chars().count() as u64 + 1)
}

/// A reason in one line, without the values that it quotes: a secret may stand where it does not belong.
pub(super) fn hide_values(reason: &str) -> String {
    let reason = reason.split_once(UNKNOWN_VARIANT).map_or_else(
        || Cow::Borrowed(reason),
        |(before, value)| {
            let behind = value.split_once('`').map_or("", |(_, behind)| behind);
            Cow::Owned(format!("{before}unknown variant{behind}"))
        },
    );
    let (mut hidden, mut rest) = (String::new(), &*reason);
    while let Some((before, value)) = rest.split_once('"') {
        hidden.push_str(before);
        hidden.push_str("(hidden)");
        rest = behind_value(value);
    }
    hidden.push_str(rest);
    let mut line = hidden.split_whitespace().collect::<Vec<_>>().join(" ");
    line.truncate(line.floor_char_boundary(MAX_REASON_BYTES));
    line
}

/// What stands behind a quoted value, whose own quotes are escaped.
fn behind_value(value: &str) -> &str {
    let mut escaped = false;
    for (at, letter) in value.char_indices() {
        if letter == '"' && !escaped {
            return &value[at + 1..];
        }
        escaped = letter == '\\' && !escaped;
    }
    ""
}
