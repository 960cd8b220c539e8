//! A typed state as named fields: what a turn changed is found by comparing encodings.

use std::collections::{BTreeMap, HashMap};

use agentscale_core::checkpoint::{Checkpoint, Codec, Field, FieldWrite, Upcasters};
use agentscale_core::{AgentType, Error, ErrorKind, Result};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The field of a state that is not a struct.
const WHOLE: &str = "";

/// What was committed last, by field: enough to see what a turn replaced or appended.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    prints: HashMap<String, Print>,
}

/// The length of an encoding, and a hash of all but its last byte: of a list, all but its closing bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    len: usize,
    head: [u8; 32],
    last: u8,
}

/// The changes of a turn, and what is committed once they are.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) writes: Vec<FieldWrite>,
    next: HashMap<String, Print>,
}

impl Committed {
    /// Encodes `state` and compares it with what was committed last.
    pub(crate) fn changes<S: Serialize>(&self, state: &S) -> Result<Changes> {
        let text = serde_json::to_string(state).map_err(|error| invalid("encode state", error))?;
        let fields = split(&text)?;
        let mut writes = Vec::new();
        let mut next = HashMap::with_capacity(fields.len());
        for (name, value) in fields {
            let value = value.as_bytes();
            let print = Print::of(value);
            let before = self.prints.get(&name);
            if before != Some(&print) {
                writes.push(write(&name, value, before));
            }
            next.insert(name, print);
        }
        let gone = self.prints.keys().filter(|name| !next.contains_key(*name));
        writes.extend(gone.map(|name| FieldWrite::Remove { name: name.clone() }));
        Ok(Changes { writes, next })
    }

    /// The changes are committed.
    pub(crate) fn advance(&mut self, changes: Changes) {
        self.prints = changes.next;
    }
}

/// Reads a checkpoint into a state of `schema_version`.
pub(crate) fn decode<S: Serialize + DeserializeOwned>(
    checkpoint: &Checkpoint,
    agent_type: &AgentType,
    schema_version: u32,
    upcasters: &Upcasters,
) -> Result<(S, Committed)> {
    let header = &checkpoint.info.header;
    let failed = |kind| {
        Error::new(kind, "decode state")
            .with_context("thread", &checkpoint.info.thread)
            .with_context("version", checkpoint.info.version.0)
    };
    if header.codec != Codec::JSON {
        return Err(failed(ErrorKind::Unsupported).with_context("codec", &header.codec));
    }
    let mut whole = BTreeMap::new();
    for field in &checkpoint.fields {
        let value =
            fold(field).ok_or_else(|| failed(ErrorKind::Corrupt).with_context("field", &field.name))?;
        whole.insert(field.name.clone(), value);
    }
    let is_current = header.schema_version == schema_version;
    let fields = upcasters.apply(agent_type, whole, header.schema_version, schema_version)?;
    let text = join(&fields).ok_or_else(|| failed(ErrorKind::Corrupt))?;
    let state = serde_json::from_str(&text).map_err(|error| failed(ErrorKind::Corrupt).with_source(error))?;
    // After an upcast every field is written anew, so that the stored ones are of one version.
    let prints = fields.iter().map(|(name, value)| (name.clone(), Print::of(value))).collect();
    let committed = Committed { prints: if is_current { prints } else { HashMap::new() } };
    Ok((state, committed))
}

impl Print {
    fn of(value: &[u8]) -> Self {
        let (head, last) = match value.split_last() {
            Some((last, head)) => (head, *last),
            None => (value, 0),
        };
        Self { len: value.len(), head: *blake3::hash(head).as_bytes(), last }
    }
}

fn write(name: &str, value: &[u8], before: Option<&Print>) -> FieldWrite {
    let name = name.to_owned();
    match before.and_then(|before| grown(value, before)) {
        Some(items) => FieldWrite::Append { name, items },
        None => FieldWrite::Replace { name, value: Bytes::copy_from_slice(value) },
    }
}

/// The items behind those of a list that had the print `before`, as a list of their own.
fn grown(value: &[u8], before: &Print) -> Option<Bytes> {
    let was_list = before.last == b']' && before.len > "[]".len();
    if !was_list || value.len() <= before.len || value.first() != Some(&b'[') {
        return None;
    }
    let (head, tail) = value.split_at(before.len - 1);
    if tail.first() != Some(&b',') || *blake3::hash(head).as_bytes() != before.head {
        return None;
    }
    let mut items = Vec::with_capacity(tail.len());
    items.push(b'[');
    items.extend_from_slice(&tail[1..]);
    Some(items.into())
}

/// The value of a field with what was appended to it.
fn fold(field: &Field) -> Option<Bytes> {
    if field.appended.is_empty() {
        return field.value.clone();
    }
    let mut all = Vec::new();
    for list in field.value.iter().chain(&field.appended) {
        let items = list.strip_prefix(b"[")?.strip_suffix(b"]")?;
        if !items.is_empty() {
            all.push(if all.is_empty() { b'[' } else { b',' });
            all.extend_from_slice(items);
        }
    }
    all.extend_from_slice(if all.is_empty() { b"[]" } else { b"]" });
    Some(all.into())
}

fn split(text: &str) -> Result<BTreeMap<String, &str>> {
    if !text.starts_with('{') {
        return Ok([(WHOLE.to_owned(), text)].into());
    }
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|error| invalid("split state", error))?;
    Ok(fields.into_iter().map(|(name, value)| (name, value.get())).collect())
}

fn join(fields: &BTreeMap<String, Bytes>) -> Option<String> {
    if let (Some(whole), 1) = (fields.get(WHOLE), fields.len()) {
        return std::str::from_utf8(whole).ok().map(str::to_owned);
    }
    let mut text = String::from("{");
    for (name, value) in fields {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(name).ok()?);
        text.push(':');
        text.push_str(std::str::from_utf8(value).ok()?);
    }
    text.push('}');
    Some(text)
}

fn invalid(operation: &'static str, error: serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, operation).with_source(error)
}

#[cfg(test)]
mod tests {
    use agentscale_core::checkpoint::{CheckpointInfo, CommitId, Epoch, StateHeader, Version};
    use agentscale_core::{AgentId, Stamp, Tenant};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Notes {
        title: String,
        lines: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        extra: Option<u32>,
    }

    fn apply(fields: &mut Vec<Field>, writes: &[FieldWrite]) {
        for write in writes {
            let at = fields.iter().position(|field| field.name == write.name());
            match write {
                FieldWrite::Replace { name, value } => {
                    let field = Field { name: name.clone(), value: Some(value.clone()), appended: vec![] };
                    at.map(|at| fields.remove(at));
                    fields.push(field);
                }
                FieldWrite::Append { items, .. } => fields[at.unwrap()].appended.push(items.clone()),
                FieldWrite::Remove { .. } => {
                    fields.remove(at.unwrap());
                }
            }
        }
    }

    fn checkpoint(fields: Vec<Field>, schema_version: u32) -> Checkpoint {
        let thread = AgentId::new(&Tenant::new("acme").unwrap(), "notes", "a").unwrap();
        let header = StateHeader::json(schema_version);
        let id = CommitId(*agentscale_core::MessageId::new(1).as_uuid());
        let info = CheckpointInfo::new(thread, Version(1), id, Epoch::default(), header, Stamp::default());
        Checkpoint::new(info, fields)
    }

    fn read(fields: &[Field]) -> Result<(Notes, Committed)> {
        let checkpoint = checkpoint(fields.to_vec(), 1);
        decode(&checkpoint, &checkpoint.info.thread.agent_type, 1, &Upcasters::new())
    }

    #[test]
    fn a_list_that_grew_is_an_append_and_everything_reads_back() {
        let (mut notes, mut committed, mut fields) = (Notes::default(), Committed::default(), Vec::new());
        let mut kinds = Vec::new();
        for step in 0..6_u32 {
            match step {
                0 => notes.title = "first".into(),
                1 => notes.lines.push("a]".into()),
                2 => notes.lines.extend(["b".into(), "[c".into()]),
                3 => notes.extra = Some(3),
                4 => (notes.lines[0] = "changed".into(), notes.extra = None).0,
                _ => notes.lines.clear(),
            }
            let changes = committed.changes(&notes).unwrap();
            kinds.push(
                changes
                    .writes
                    .iter()
                    .map(|write| (write.name().to_owned(), matches!(write, FieldWrite::Append { .. })))
                    .collect::<Vec<_>>(),
            );
            apply(&mut fields, &changes.writes);
            committed.advance(changes);
            assert_eq!(read(&fields).unwrap().0, notes);
        }
        let named = |name: &str, append| (name.to_owned(), append);
        assert_eq!(kinds[1], [named("lines", false)]);
        assert_eq!(kinds[2], [named("lines", true)]);
        assert_eq!(kinds[3], [named("extra", false)]);
        assert!(committed.changes(&notes).unwrap().writes.is_empty());
        assert!(read(&fields).unwrap().1.changes(&notes).unwrap().writes.is_empty());
    }

    #[test]
    fn a_state_that_is_no_struct_is_one_field() {
        let changes = Committed::default().changes(&vec![1, 2]).unwrap();
        assert_eq!(changes.writes.len(), 1);
        let mut fields = Vec::new();
        apply(&mut fields, &changes.writes);
        let checkpoint = checkpoint(fields, 1);
        let (state, _) =
            decode::<Vec<i32>>(&checkpoint, &checkpoint.info.thread.agent_type, 1, &Upcasters::new())
                .unwrap();
        assert_eq!(state, [1, 2]);
    }

    #[test]
    fn an_older_shape_goes_through_its_upcaster_and_an_unknown_one_is_an_error() {
        let old = vec![Field {
            name: "lines".into(),
            value: Some("[\"a\"]".into()),
            appended: vec!["[\"b\"]".into()],
        }];
        let checkpoint = checkpoint(old, 1);
        let agent_type = checkpoint.info.thread.agent_type.clone();
        let none = decode::<Notes>(&checkpoint, &agent_type, 2, &Upcasters::new());
        assert_eq!(none.unwrap_err().kind(), ErrorKind::Unsupported);
        let upcasters = Upcasters::new().with(agent_type.clone(), 1, |mut fields| {
            fields.insert("title".into(), "\"untitled\"".into());
            Ok(fields)
        });
        let (notes, committed) = decode::<Notes>(&checkpoint, &agent_type, 2, &upcasters).unwrap();
        assert_eq!(
            notes,
            Notes { title: "untitled".into(), lines: vec!["a".into(), "b".into()], extra: None }
        );
        assert_eq!(committed.changes(&notes).unwrap().writes.len(), 2);
        let newer = decode::<Notes>(&checkpoint, &agent_type, 0, &upcasters);
        assert_eq!(newer.unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_field_that_is_no_json_is_corrupt() {
        let fields =
            vec![Field { name: "lines".into(), value: Some("[1".into()), appended: vec!["[2]".into()] }];
        assert_eq!(read(&fields).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
