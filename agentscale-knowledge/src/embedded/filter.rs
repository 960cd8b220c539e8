//! Filters as SQL over the table of fields: every value and name is a bound parameter.

use agentscale_core::knowledge::{Filter, MetadataValue};
use agentscale_core::{Error, ErrorKind, Result};
use sqlx::{QueryBuilder, Sqlite};

const MAX_DEPTH: usize = 64;
const MAX_VALUES: usize = 2_000;
/// Up to here every whole number is a number of its own as `f64`.
const EXACT: i64 = 1 << 53;

pub(super) const BOOL: i64 = 0;
pub(super) const NUMBER: i64 = 1;
pub(super) const TEXT: i64 = 2;

/// Refuses a filter that is too deep or has too many values for a statement.
pub(super) fn check(filter: &Filter) -> Result<()> {
    if depth(filter) > MAX_DEPTH || values(filter) > MAX_VALUES {
        return Err(Error::new(ErrorKind::InvalidInput, "read filter")
            .with_context("deepest", MAX_DEPTH)
            .with_context("most values", MAX_VALUES));
    }
    Ok(())
}

/// Appends a condition on `v.item` that is true for the items of `tenant` that fit.
pub(super) fn push(filter: &Filter, tenant: i64, sql: &mut QueryBuilder<Sqlite>) {
    match filter {
        Filter::Eq(field, value) => compare(field, "=", value, tenant, sql),
        Filter::In(field, values) => {
            join(values, "OR", "0", sql, &|value, sql| compare(field, "=", value, tenant, sql));
        }
        Filter::Lt(field, value) => compare(field, "<", value, tenant, sql),
        Filter::Ge(field, value) => compare(field, ">=", value, tenant, sql),
        Filter::Exists(field) => {
            having(field, tenant, sql);
            sql.push(")");
        }
        Filter::All(filters) => join(filters, "AND", "1", sql, &|filter, sql| push(filter, tenant, sql)),
        Filter::Any(filters) => join(filters, "OR", "0", sql, &|filter, sql| push(filter, tenant, sql)),
        Filter::Not(filter) => {
            sql.push("NOT (");
            push(filter, tenant, sql);
            sql.push(")");
        }
        // A kind of condition that this version does not know is never silently true.
        _ => {
            sql.push("0");
        }
    }
}

fn compare(field: &str, operator: &str, value: &MetadataValue, tenant: i64, sql: &mut QueryBuilder<Sqlite>) {
    if matches!(value, MetadataValue::Float(number) if number.is_nan()) {
        sql.push("0");
        return;
    }
    having(field, tenant, sql);
    match value {
        MetadataValue::Bool(value) => condition(BOOL, operator, sql).push_bind(i64::from(*value)),
        MetadataValue::Text(value) => condition(TEXT, operator, sql).push_bind(value.clone()),
        MetadataValue::Int(value) if value.unsigned_abs() <= EXACT.unsigned_abs() => {
            condition(NUMBER, operator, sql).push_bind(*value)
        }
        MetadataValue::Float(value) if value.abs() < EXACT as f64 => {
            condition(NUMBER, operator, sql).push_bind(*value)
        }
        // SQLite compares large whole numbers with others exactly; filters compare them as `f64`.
        MetadataValue::Int(value) => sql
            .push(" AND kind = 1 AND CASE typeof(value) WHEN 'integer' THEN value ")
            .push(operator)
            .push(" ")
            .push_bind(*value)
            .push(" ELSE value ")
            .push(operator)
            .push(" ")
            .push_bind(*value as f64)
            .push(" END"),
        MetadataValue::Float(value) => {
            sql.push(" AND kind = 1 AND CAST(value AS REAL) ").push(operator).push(" ").push_bind(*value)
        }
        _ => sql.push(" AND 0"),
    };
    sql.push(")");
}

/// Opens `v.item IN (SELECT …`, which the caller closes.
fn having(field: &str, tenant: i64, sql: &mut QueryBuilder<Sqlite>) {
    sql.push("v.item IN (SELECT item FROM fields WHERE tenant = ")
        .push_bind(tenant)
        .push(" AND name = ")
        .push_bind(field.to_owned());
}

fn condition<'q>(
    kind: i64,
    operator: &str,
    sql: &'q mut QueryBuilder<Sqlite>,
) -> &'q mut QueryBuilder<Sqlite> {
    sql.push(" AND kind = ").push(kind).push(" AND value ").push(operator).push(" ")
}

/// Joins parts in a balanced tree: SQLite bounds how deep an expression may be, and a chain is as deep
/// as it is long.
fn join<T>(
    parts: &[T],
    operator: &str,
    empty: &str,
    sql: &mut QueryBuilder<Sqlite>,
    each: &dyn Fn(&T, &mut QueryBuilder<Sqlite>),
) {
    match parts {
        [] => {
            sql.push(empty);
        }
        [part] => each(part, sql),
        parts => {
            let (left, right) = parts.split_at(parts.len() / 2);
            sql.push("(");
            join(left, operator, empty, sql, each);
            sql.push(" ").push(operator).push(" ");
            join(right, operator, empty, sql, each);
            sql.push(")");
        }
    }
}

fn depth(filter: &Filter) -> usize {
    1 + match filter {
        Filter::All(filters) | Filter::Any(filters) => filters.iter().map(depth).max().unwrap_or(0),
        Filter::Not(filter) => depth(filter),
        _ => 0,
    }
}

fn values(filter: &Filter) -> usize {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => filters.iter().map(values).sum(),
        Filter::Not(filter) => values(filter),
        Filter::In(_, values) => values.len(),
        _ => 1,
    }
}
