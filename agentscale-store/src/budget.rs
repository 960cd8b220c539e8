//! What the ledgers on SQLite and on PostgreSQL share.

use agentscale_core::budget::{BudgetId, Money, UsageCounts};
use agentscale_core::{Error, ErrorKind, Result};

/// Numbers of a usage record.
pub(crate) const COUNTS: usize = 11;

/// The names that budgets have in their table.
pub(crate) fn names<'a>(budgets: impl IntoIterator<Item = &'a BudgetId>) -> Result<Vec<String>> {
    let name = |id: &BudgetId| {
        let scope = &id.scope;
        let parts = (&scope.tenant, &scope.account, &scope.model, id.period.as_str(), id.start);
        serde_json::to_string(&parts).map_err(|error| unreadable(error, "name budget"))
    };
    budgets.into_iter().map(name).collect()
}

pub(crate) fn unreadable(error: serde_json::Error, operation: &'static str) -> Error {
    Error::new(ErrorKind::Internal, operation).with_source(error)
}

pub(crate) fn fenced(operation: &'static str) -> Error {
    Error::new(ErrorKind::Fenced, operation).with_context("reason", "no holder of the ledger")
}

pub(crate) fn older(sequence: u64, last: u64) -> Error {
    Error::new(ErrorKind::Conflict, "exchange with ledger")
        .with_context("sequence", sequence)
        .with_context("last", last)
}

/// Integers of the databases have 63 bits; what is more stays at the largest.
pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

pub(crate) fn counts(counts: &UsageCounts) -> [u64; COUNTS] {
    [
        counts.calls,
        counts.input_tokens,
        counts.cached_input_tokens,
        counts.cache_write_input_tokens,
        counts.output_tokens,
        counts.reasoning_tokens,
        counts.cost.as_nanos(),
        counts.cut_calls,
        counts.cut_tokens,
        counts.cut_cost.as_nanos(),
        counts.unpriced_calls,
    ]
}

pub(crate) fn from_counts(numbers: [u64; COUNTS]) -> UsageCounts {
    let [
        calls,
        input,
        cached,
        cache_write,
        output,
        reasoning,
        cost,
        cut_calls,
        cut_tokens,
        cut_cost,
        unpriced,
    ] = numbers;
    let mut counts = UsageCounts::default();
    counts.calls = calls;
    counts.input_tokens = input;
    counts.cached_input_tokens = cached;
    counts.cache_write_input_tokens = cache_write;
    counts.output_tokens = output;
    counts.reasoning_tokens = reasoning;
    counts.cost = Money::from_nanos(cost);
    counts.cut_calls = cut_calls;
    counts.cut_tokens = cut_tokens;
    counts.cut_cost = Money::from_nanos(cut_cost);
    counts.unpriced_calls = unpriced;
    counts
}
