//! Where a query goes on.

use std::hash::{DefaultHasher, Hash, Hasher};

use agentscale_core::knowledge::{Filter, KnowledgeQuery, MetadataValue, QueryCursor, Seek};
use agentscale_core::{Error, ErrorKind, Result};

/// How many hits came before, and how deep the rankings were that they came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: usize,
    pub(super) depth: usize,
}

impl Place {
    /// Reads the query's cursor; the start where it has none.
    pub(super) fn of(query: &KnowledgeQuery) -> Result<Self> {
        let Some(cursor) = &query.after else { return Ok(Self { offset: 0, depth: 0 }) };
        let refuse = || Error::new(ErrorKind::InvalidInput, "read cursor");
        let mut parts = cursor.0.split('.');
        let mut number = |radix| {
            let part = parts.next().ok_or_else(refuse)?;
            u64::from_str_radix(part, radix).map_err(|error| refuse().with_source(error))
        };
        let (digest, offset, depth) = (number(16)?, number(10)?, number(10)?);
        if digest != self::digest(query) {
            return Err(refuse().with_context("reason", "a cursor of another query"));
        }
        Ok(Self { offset: offset as usize, depth: depth as usize })
    }

    pub(super) fn cursor(self, query: &KnowledgeQuery) -> QueryCursor {
        QueryCursor(format!("{:016x}.{}.{}", digest(query), self.offset, self.depth))
    }
}

/// Tells queries apart by what decides about their hits. A cursor is meant for the process that gave it
/// and its like; a digest of another version is refused as another query's.
fn digest(query: &KnowledgeQuery) -> u64 {
    let mut hasher = DefaultHasher::new();
    query.tenant.hash(&mut hasher);
    query.as_of.hash(&mut hasher);
    match &query.seek {
        Seek::Text(text) => text.hash(&mut hasher),
        Seek::Vector(vector) => vector.iter().for_each(|number| number.to_bits().hash(&mut hasher)),
        _ => {}
    }
    query.filter.iter().for_each(|filter| hash_filter(filter, &mut hasher));
    hasher.finish()
}

fn hash_filter(filter: &Filter, hasher: &mut DefaultHasher) {
    std::mem::discriminant(filter).hash(hasher);
    match filter {
        Filter::Eq(field, value) | Filter::Lt(field, value) | Filter::Ge(field, value) => {
            field.hash(hasher);
            hash_value(value, hasher);
        }
        Filter::In(field, values) => {
            field.hash(hasher);
            values.len().hash(hasher);
            values.iter().for_each(|value| hash_value(value, hasher));
        }
        Filter::Exists(field) => field.hash(hasher),
        Filter::All(filters) | Filter::Any(filters) => {
            filters.len().hash(hasher);
            filters.iter().for_each(|filter| hash_filter(filter, hasher));
        }
        Filter::Not(filter) => hash_filter(filter, hasher),
        _ => {}
    }
}

fn hash_value(value: &MetadataValue, hasher: &mut DefaultHasher) {
    std::mem::discriminant(value).hash(hasher);
    match value {
        MetadataValue::Bool(value) => value.hash(hasher),
        MetadataValue::Int(value) => value.hash(hasher),
        MetadataValue::Float(value) => value.to_bits().hash(hasher),
        MetadataValue::Text(value) => value.hash(hasher),
        _ => {}
    }
}
