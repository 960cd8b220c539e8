use agentscale_core::{Result, TaskName, Tenant};

use crate::observations::{ObservationRecord, RowText};
use crate::postgres::Bound;

/// A column of each array of the statement.
#[derive(Default)]
struct Arrays<'a> {
    tenants: Vec<&'a str>,
    ats: Vec<i64>,
    counters: Vec<i16>,
    nodes: Vec<i64>,
    writers: Vec<i64>,
    numbers: Vec<i64>,
    levels: Vec<i16>,
    names: Vec<String>,
    traces: Vec<Option<String>>,
    tasks: Vec<Option<&'a str>>,
    agent_types: Vec<Option<&'a str>>,
    agent_keys: Vec<Option<&'a str>>,
    fields: Vec<String>,
    truncated: Vec<bool>,
    words: Vec<String>,
}

pub(super) fn bound(batch: &[ObservationRecord]) -> Result<Bound> {
    let mut arrays = Arrays::default();
    for record in batch {
        arrays.push(record)?;
    }
    Ok(Bound::new()
        .with(arrays.tenants)
        .with(arrays.ats)
        .with(arrays.counters)
        .with(arrays.nodes)
        .with(arrays.writers)
        .with(arrays.numbers)
        .with(arrays.levels)
        .with(arrays.names)
        .with(arrays.traces)
        .with(arrays.tasks)
        .with(arrays.agent_types)
        .with(arrays.agent_keys)
        .with(arrays.fields)
        .with(arrays.truncated)
        .with(arrays.words))
}

impl<'a> Arrays<'a> {
    fn push(&mut self, record: &'a ObservationRecord) -> Result<()> {
        let observation = &record.observation;
        let text = RowText::of(observation)?;
        let agent = observation.agent.as_ref();
        self.tenants.push(observation.tenant.as_ref().map_or("", Tenant::as_str));
        self.ats.push(text.at);
        self.counters.push(text.counter);
        self.nodes.push(text.node);
        self.writers.push(record.writer.cast_signed());
        self.numbers.push(record.number.cast_signed());
        self.levels.push(observation.level as i16);
        self.names.push(text.name);
        self.traces.push(observation.trace.map(|trace| trace.to_string()));
        self.tasks.push(observation.task.as_ref().map(TaskName::as_str));
        self.agent_types.push(agent.map(|agent| agent.agent_type.as_str()));
        self.agent_keys.push(agent.map(|agent| agent.key.as_str()));
        self.fields.push(text.fields);
        self.truncated.push(observation.truncated);
        self.words.push(text.words);
        Ok(())
    }
}
