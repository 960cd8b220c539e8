use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A value of metadata.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum MetadataValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

impl From<bool> for MetadataValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for MetadataValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for MetadataValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for MetadataValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for MetadataValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// What filters see of an entry: values by name.
pub type Metadata = BTreeMap<String, MetadataValue>;

/// Which entries: an expression over their metadata. Values of different types are never equal and never ordered,
/// but for whole and other numbers, which compare as numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Filter {
    /// The field has this value.
    Eq(String, MetadataValue),
    /// The field has one of these values.
    In(String, Vec<MetadataValue>),
    /// The field is below this value.
    Lt(String, MetadataValue),
    /// The field is this value or above it.
    Ge(String, MetadataValue),
    /// The entry has the field.
    Exists(String),
    /// All of these; true where there are none.
    All(Vec<Filter>),
    /// One of these at least; false where there are none.
    Any(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
}

impl Filter {
    /// The field has this value.
    pub fn eq(field: impl Into<String>, value: impl Into<MetadataValue>) -> Self {
        Self::Eq(field.into(), value.into())
    }

    /// Whether metadata fits: the meaning that every backend must have.
    pub fn fits(&self, metadata: &Metadata) -> bool {
        match self {
            Self::Eq(field, value) => {
                metadata.get(field).is_some_and(|have| compare(have, value).is_some_and(|o| o.is_eq()))
            }
            Self::In(field, values) => metadata.get(field).is_some_and(|have| {
                values.iter().any(|value| compare(have, value).is_some_and(|o| o.is_eq()))
            }),
            Self::Lt(field, value) => {
                metadata.get(field).is_some_and(|have| compare(have, value).is_some_and(|o| o.is_lt()))
            }
            Self::Ge(field, value) => {
                metadata.get(field).is_some_and(|have| compare(have, value).is_some_and(|o| o.is_ge()))
            }
            Self::Exists(field) => metadata.contains_key(field),
            Self::All(filters) => filters.iter().all(|filter| filter.fits(metadata)),
            Self::Any(filters) => filters.iter().any(|filter| filter.fits(metadata)),
            Self::Not(filter) => !filter.fits(metadata),
        }
    }
}

fn compare(left: &MetadataValue, right: &MetadataValue) -> Option<std::cmp::Ordering> {
    use MetadataValue::{Bool, Float, Int, Text};
    match (left, right) {
        (Bool(left), Bool(right)) => Some(left.cmp(right)),
        (Int(left), Int(right)) => Some(left.cmp(right)),
        (Float(left), Float(right)) => left.partial_cmp(right),
        (Int(left), Float(right)) => (*left as f64).partial_cmp(right),
        (Float(left), Int(right)) => left.partial_cmp(&(*right as f64)),
        (Text(left), Text(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_different_types_neither_equal_nor_order() {
        let metadata: Metadata =
            [("line".to_owned(), 7_i64.into()), ("file".to_owned(), "a.md".into())].into();
        assert!(Filter::eq("line", 7.0).fits(&metadata));
        assert!(!Filter::eq("line", "7").fits(&metadata));
        assert!(!Filter::Lt("file".into(), 9_i64.into()).fits(&metadata));
        assert!(!Filter::Ge("file".into(), 9_i64.into()).fits(&metadata));
        assert!(Filter::Not(Box::new(Filter::Exists("page".into()))).fits(&metadata));
        assert!(Filter::All(vec![]).fits(&metadata) && !Filter::Any(vec![]).fits(&metadata));
    }
}
