use std::collections::BTreeSet;

use agentscale_core::{ErrorKind, HybridClock, Json, Result, Stamp};
use proptest::prelude::*;

use super::{Field, FieldMerge, LastWrite, Record};

/// Sets that grow, numbers of which the greatest counts, else the last write.
#[derive(Debug)]
struct Grown;

impl FieldMerge for Grown {
    fn merges(&self, field: &str) -> bool {
        field == "set" || field == "most"
    }

    fn merge(&self, field: &str, left: &Json, right: &Json) -> Result<Json> {
        if field == "most" {
            return Json::encode(&left.decode::<u8>()?.max(right.decode()?));
        }
        let mut all: BTreeSet<u8> = left.decode()?;
        all.append(&mut right.decode()?);
        Json::encode(&all)
    }
}

/// Few names, times and nodes, so that they meet; a stamp that two writes have is a node's fault and must not matter.
fn write() -> impl Strategy<Value = (&'static str, Field)> {
    let stamp = (0_u64..4, 0_u64..3).prop_map(|(time, node)| Stamp::from_parts(time, node));
    let name = prop_oneof![Just("a"), Just("b"), Just("set"), Just("most")];
    (name, proptest::option::weighted(0.7, 0_u8..4), stamp).prop_map(|(name, value, stamp)| {
        let value = value.map(|value| match name {
            "set" => Json::encode(&BTreeSet::from([value])),
            _ => Json::encode(&value),
        });
        (name, Field::new(value.map(|json| json.unwrap()), stamp))
    })
}

fn writes() -> impl Strategy<Value = Vec<(&'static str, Field)>> {
    proptest::collection::vec(write(), 0..8)
}

/// A replica that saw each of the writes as a record of its own.
fn replica(writes: &[(&'static str, Field)], own: &dyn FieldMerge) -> Record {
    let mut record = Record::new();
    for (name, field) in writes {
        record.merge(&one(name, field), own).unwrap();
    }
    record
}

fn one(name: &str, field: &Field) -> Record {
    let mut record = Record::new();
    match field.value() {
        Some(value) => record.set(name, value.clone(), field.stamp()),
        None => record.remove(name, field.stamp()),
    }
    record
}

fn merged(left: &Record, right: &Record, own: &dyn FieldMerge) -> Record {
    let mut merged = left.clone();
    merged.merge(right, own).unwrap();
    merged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn merging_is_commutative_associative_and_idempotent(a in writes(), b in writes(), c in writes()) {
        for own in [&LastWrite as &dyn FieldMerge, &Grown] {
            let [a, b, c] = [&a, &b, &c].map(|writes| replica(writes, own));
            let ab = merged(&a, &b, own);
            prop_assert_eq!(&ab, &merged(&b, &a, own));
            prop_assert_eq!(merged(&ab, &c, own), merged(&a, &merged(&b, &c, own), own));
            prop_assert_eq!(&merged(&a, &a, own), &a);
            prop_assert_eq!(&merged(&ab, &b, own), &ab);
        }
    }

    #[test]
    fn replicas_that_saw_the_same_writes_in_any_order_are_the_same(
        (writes, other) in writes().prop_flat_map(|writes| (Just(writes.clone()), Just(writes).prop_shuffle())),
    ) {
        for own in [&LastWrite as &dyn FieldMerge, &Grown] {
            prop_assert_eq!(replica(&writes, own), replica(&other, own));
        }
    }

    /// Written as of a model: the greatest of (time, node) of each field.
    #[test]
    fn the_last_write_of_each_field_counts(writes in writes()) {
        let record = replica(&writes, &LastWrite);
        for (name, field) in record.fields() {
            let last = writes.iter().filter(|(written, _)| *written == name).map(|(_, field)| field.stamp()).max();
            prop_assert_eq!(Some(field.stamp()), last);
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written(writes in writes()) {
        let record = replica(&writes, &LastWrite);
        let text = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}

#[test]
fn a_removal_is_outlived_by_a_later_write_only() {
    let clock = HybridClock::new(1);
    let stamps = [1, 2, 3].map(|micros| clock.stamp(micros));
    let json = |text: &str| Json::parse(text).unwrap();
    let mut record = Record::new();
    record.set("a", json("1"), stamps[0]);
    record.remove("a", stamps[1]);
    assert_eq!(record.value("a"), None);
    record.set("a", json("2"), stamps[0]);
    assert_eq!(record.value("a"), None);
    let mut later = record.clone();
    later.set("a", json("3"), stamps[2]);
    assert_eq!(later.value("a"), Some(&json("3")));
    record.forget_removed(stamps[2]);
    assert!(record.field("a").is_none());
    // JSON's null is a value.
    later.set("b", json("null"), stamps[0]);
    let text = serde_json::to_string(&later).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap().value("b"), Some(&json("null")));
}

#[test]
fn a_replica_from_the_future_or_that_cannot_be_read_changes_nothing() {
    let (here, there) = (HybridClock::new(1), HybridClock::new(2));
    let mut record = Record::new();
    record.set("set", Json::parse("[1]").unwrap(), here.stamp(1_000_000));
    let before = record.clone();
    let mut replica = Record::new();
    replica.set("a", Json::parse("1").unwrap(), there.stamp(1_000_001));
    replica.set("b", Json::parse("2").unwrap(), there.stamp(60_000_000));
    let error = record.receive(&replica, &Grown, &here, 1_000_001).unwrap_err();
    assert_eq!((error.kind(), error.context("field")), (ErrorKind::Conflict, Some("b")));
    assert_eq!((&record, here.refused()), (&before, 1));

    let mut replica = Record::new();
    replica.set("a", Json::parse("1").unwrap(), there.stamp(1_000_001));
    replica.set("set", Json::parse("\"no set\"").unwrap(), Stamp::from_parts(1, 2));
    let error = record.receive(&replica, &Grown, &here, 60_000_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(record, before);
    replica = Record::new();
    replica.set("set", Json::parse("[2]").unwrap(), Stamp::from_parts(1, 2));
    record.receive(&replica, &Grown, &here, 60_000_000).unwrap();
    assert_eq!(record.value("set").map(Json::as_str), Some("[1,2]"));
    assert!(here.stamp(1) > before.field("set").unwrap().stamp());
}
