use std::borrow::Cow;

use agentscale_core::observe::{FieldValue, Observation, ObservationLevel};
use agentscale_core::{Address, Error, ErrorKind, Result, Stamp, Tenant};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::words::words;

/// An observation as it is kept: with who wrote it and its number there, which tell it from all others.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ObservationRecord {
    /// What happened.
    pub observation: Observation,
    /// The log that wrote it, another at each start.
    pub writer: u64,
    /// Its number among those of its writer, in the order of emission.
    pub number: u64,
}

impl ObservationRecord {
    /// An observation under its writer and number, of 63 bits each.
    pub fn new(observation: Observation, writer: u64, number: u64) -> Self {
        Self { observation, writer, number }
    }
}

/// The columns that are made of an observation.
pub(crate) struct RowText {
    /// As [`key_of`] takes a stamp apart.
    pub(crate) at: i64,
    pub(crate) counter: i16,
    pub(crate) node: i64,
    pub(crate) name: String,
    /// `[["name", value], …]`
    pub(crate) fields: String,
    /// The words of the name and of all texts, by single spaces.
    pub(crate) words: String,
}

/// The columns that an observation is read from.
pub(crate) struct Columns<'a> {
    pub(crate) tenant: Option<Tenant>,
    pub(crate) key: (i64, i16, i64),
    pub(crate) writer: i64,
    pub(crate) number: i64,
    pub(crate) level: i16,
    pub(crate) name: String,
    pub(crate) trace: Option<&'a str>,
    pub(crate) task: Option<&'a str>,
    pub(crate) agent: Option<(&'a str, &'a str)>,
    pub(crate) fields: &'a str,
    pub(crate) truncated: bool,
}

impl RowText {
    pub(crate) fn of(observation: &Observation) -> Result<Self> {
        let (at, counter, node) = key_of(observation.stamp);
        let fields = serde_json::to_string(&Fields(&observation.fields))
            .map_err(|error| Error::new(ErrorKind::Internal, "encode observation").with_source(error))?;
        let mut text: Vec<String> = words(&observation.name).collect();
        for (_, value) in &observation.fields {
            if let FieldValue::Text(value) = value {
                text.extend(words(value));
            }
        }
        let name = without_nul(&observation.name).into_owned();
        Ok(Self { at, counter, node, name, fields, words: text.join(" ") })
    }
}

pub(crate) fn decode(columns: Columns<'_>) -> Result<ObservationRecord> {
    let corrupt = || Error::new(ErrorKind::Corrupt, "read observation");
    let unreadable = |error: Error| corrupt().with_source(error);
    let level = usize::try_from(columns.level).ok().and_then(|level| ObservationLevel::ALL.get(level));
    let mut observation = Observation::new(*level.ok_or_else(corrupt)?, columns.name, stamp_of(columns.key));
    observation.tenant = columns.tenant;
    observation.trace = columns.trace.map(str::parse).transpose().map_err(unreadable)?;
    observation.task = columns.task.map(TryInto::try_into).transpose().map_err(unreadable)?;
    observation.agent =
        columns.agent.map(|(of_type, key)| Address::new(of_type, key)).transpose().map_err(unreadable)?;
    observation.fields =
        serde_json::from_str(columns.fields).map_err(|error| corrupt().with_source(error))?;
    observation.truncated = columns.truncated;
    Ok(ObservationRecord::new(observation, columns.writer.cast_unsigned(), columns.number.cast_unsigned()))
}

/// Microseconds, counter and node of a stamp, which sort as the stamp does.
pub(crate) fn key_of(stamp: Stamp) -> (i64, i16, i64) {
    let (time, node) = stamp.to_parts();
    // 52 bits and 12 bits; the node's first bit is turned round, as the numbers of databases have a sign.
    ((time >> 12).cast_signed(), (time & 0xfff) as i16, (node ^ (1 << 63)).cast_signed())
}

fn stamp_of((at, counter, node): (i64, i16, i64)) -> Stamp {
    let time = at.cast_unsigned() << 12 | u64::from(counter.cast_unsigned());
    Stamp::from_parts(time, node.cast_unsigned() ^ (1 << 63))
}

/// PostgreSQL holds no text with a zero byte.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Pairs of name and value, without zero bytes, and with numbers that JSON does not have as text.
struct Fields<'a>(&'a [(Cow<'static, str>, FieldValue)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut pairs = serializer.serialize_seq(Some(self.0.len()))?;
        for (name, value) in self.0 {
            let name = without_nul(name);
            match value {
                FieldValue::Text(text) => pairs.serialize_element(&(name, without_nul(text)))?,
                FieldValue::Float(number) if !number.is_finite() => {
                    pairs.serialize_element(&(name, number.to_string()))?;
                }
                value => pairs.serialize_element(&(name, value))?,
            }
        }
        pairs.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_stamp_sort_as_it_does() {
        let times = [0, 1, 0xfff, 0x1000, 1 << 62, u64::MAX];
        let nodes = [0, 1, (1 << 63) - 1, 1 << 63, u64::MAX];
        let stamps = times.map(|time| nodes.map(|node| Stamp::from_parts(time, node))).concat();
        assert!(stamps.is_sorted());
        assert!(stamps.iter().map(|stamp| key_of(*stamp)).is_sorted());
        assert!(stamps.iter().all(|stamp| stamp_of(key_of(*stamp)) == *stamp));
    }
}
