use std::cmp::Ordering;
use std::collections::BTreeMap;

use agentscale_core::{HybridClock, Json, Result, Stamp};
use serde::{Deserialize, Serialize};

use super::{Field, FieldMerge};

/// Named fields, each with the stamp of its last write.
///
/// A field that was removed leaves its stamp, so that an older write that comes late does not bring it back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record {
    fields: BTreeMap<String, Field>,
}

impl Record {
    /// A record without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a field. An older write than the one that is there changes nothing. Of a field with a merge of its own this
    /// replaces what is here; what other replicas have merged comes back with them.
    pub fn set(&mut self, name: impl Into<String>, value: Json, stamp: Stamp) {
        self.write(name.into(), Field::new(Some(value), stamp));
    }

    /// Removes a field.
    pub fn remove(&mut self, name: impl Into<String>, stamp: Stamp) {
        self.write(name.into(), Field::new(None, stamp));
    }

    /// Takes in another replica. Whatever order replicas are merged in, and however often, the result is the same.
    ///
    /// # Errors
    /// Those of the field's own merge. This record is then as it was.
    pub fn merge(&mut self, other: &Self, own: &dyn FieldMerge) -> Result<()> {
        let merged = other.fields.iter().filter_map(|(name, theirs)| {
            let merged = match self.fields.get(name) {
                Some(ours) => merge(name, ours, theirs, own).transpose()?,
                None => Ok(theirs.clone()),
            };
            Some(merged.map(|field| (name.clone(), field)))
        });
        let merged: Vec<_> = merged.collect::<Result<_>>()?;
        self.fields.extend(merged);
        Ok(())
    }

    /// Takes in a replica that came from another node, and moves the clock past its stamps.
    ///
    /// # Errors
    /// `conflict` for a stamp too far ahead of the wall clock: a node whose clock is wrong would win for as long. Those
    /// of [`merge`](Self::merge). This record is then as it was.
    pub fn receive(
        &mut self,
        other: &Self,
        own: &dyn FieldMerge,
        clock: &HybridClock,
        unix_micros: u64,
    ) -> Result<()> {
        for (name, field) in &other.fields {
            clock
                .observe(field.stamp(), unix_micros)
                .map_err(|error| error.with_context("field", name.escape_debug()))?;
        }
        self.merge(other, own)
    }

    /// Forgets removals from before a stamp that every replica has seen, and that nobody will send older writes than.
    pub fn forget_removed(&mut self, before: Stamp) {
        self.fields.retain(|_, field| field.value().is_some() || field.stamp() >= before);
    }

    /// The value of a field; `None` where it was removed or never written.
    pub fn value(&self, name: &str) -> Option<&Json> {
        self.fields.get(name).and_then(Field::value)
    }

    /// The last write of a field, removals included.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(name)
    }

    /// All fields by name, removed ones included.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.fields.iter().map(|(name, field)| (name.as_str(), field))
    }

    fn write(&mut self, name: String, written: Field) {
        match self.fields.get_mut(&name) {
            Some(field) if field.order(&written) == Ordering::Less => *field = written,
            Some(_) => {}
            None => drop(self.fields.insert(name, written)),
        }
    }
}

/// What becomes of a field of ours; `None` where it stays.
fn merge(name: &str, ours: &Field, theirs: &Field, own: &dyn FieldMerge) -> Result<Option<Field>> {
    if ours == theirs {
        return Ok(None);
    }
    if !own.merges(name) {
        return Ok((ours.order(theirs) == Ordering::Less).then(|| theirs.clone()));
    }
    let value = match (ours.value(), theirs.value()) {
        (Some(ours), Some(theirs)) if ours == theirs => Some(ours.clone()),
        (Some(ours), Some(theirs)) => Some(own.merge(name, ours, theirs)?),
        (one, other) => one.or(other).cloned(),
    };
    Ok(Some(Field::new(value, ours.stamp().max(theirs.stamp()))))
}
