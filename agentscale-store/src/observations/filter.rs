use std::fmt::Write as _;

use agentscale_core::{Result, TaskName, Tenant};

use super::{ObservationOrder, ObservationQuery};

/// What a store has to say itself of the text of a query.
pub(crate) struct Dialect {
    /// What stands before the number of a parameter.
    pub(crate) mark: char,
    pub(crate) table: &'static str,
    /// The column of the fields, as text.
    pub(crate) fields: &'static str,
    /// The condition on the words, whose parameter is `{}`.
    pub(crate) words: &'static str,
    /// The parameter of that condition.
    pub(crate) search: fn(&[String]) -> String,
}

/// A parameter.
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Small(i16),
}

/// A query in SQL: only conditions that it has, so that each finds its index, and nothing of it but bound.
pub(crate) fn select(query: &ObservationQuery, dialect: &Dialect) -> Result<(String, Vec<Value>)> {
    let words = query.checked_words()?;
    let (from, until) = query.range();
    let mut filter = Filter { mark: dialect.mark, text: String::new(), values: Vec::new() };
    let tenant = query.tenant.as_ref().map_or("", Tenant::as_str);
    filter.and("tenant = {}", [Value::Text(tenant.to_owned())]);
    filter.and("at >= {}", [Value::Number(from)]);
    filter.and("at < {}", [Value::Number(until)]);
    if query.level as i16 > 0 {
        filter.and("level >= {}", [Value::Small(query.level as i16)]);
    }
    if let Some(trace) = query.trace {
        filter.and("trace = {}", [Value::Text(trace.to_string())]);
    }
    if let Some(task) = query.task.as_ref().map(TaskName::as_str) {
        filter.and("task = {}", [Value::Text(task.to_owned())]);
    }
    if let Some(agent) = &query.agent {
        let (of_type, key) = (agent.agent_type.as_str().to_owned(), agent.key.as_str().to_owned());
        filter.and("agent_type = {} AND agent_key = {}", [Value::Text(of_type), Value::Text(key)]);
    }
    if let Some(words) = words {
        filter.and(dialect.words, [Value::Text((dialect.search)(&words))]);
    }
    let (than, order) = match query.order {
        ObservationOrder::Causal => (">", "ASC"),
        ObservationOrder::LatestFirst => ("<", "DESC"),
    };
    if let Some(after) = &query.after {
        let condition = format!("(at, counter, node, writer, number) {than} ({{}}, {{}}, {{}}, {{}}, {{}})");
        let [at, node, writer, number] =
            [after.at, after.node, after.writer, after.number].map(Value::Number);
        filter.and(&condition, [at, Value::Small(after.counter), node, writer, number]);
    }
    let Filter { text, values, .. } = filter;
    let text = format!(
        "SELECT at, counter, node, writer, number, level, name, trace, task, agent_type, agent_key, {}, truncated \
         FROM {} WHERE {text} ORDER BY at {order}, counter {order}, node {order}, writer {order}, number {order} \
         LIMIT {}",
        dialect.fields,
        dialect.table,
        // One more says whether there is a next page.
        query.limit + 1,
    );
    Ok((text, values))
}

struct Filter {
    mark: char,
    text: String,
    values: Vec<Value>,
}

impl Filter {
    fn and<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        if !self.text.is_empty() {
            self.text.push_str(" AND ");
        }
        let mut parts = condition.split("{}");
        self.text.push_str(parts.next().unwrap_or_default());
        for (value, part) in values.into_iter().zip(parts) {
            self.values.push(value);
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{}{}{part}", self.mark, self.values.len());
        }
    }
}
