use std::sync::atomic::{AtomicU64, Ordering};

use agentscale_core::observe::{FieldValue, Observation, ObservationLevel};
use agentscale_core::{HybridClock, Stamp, Tenant};
use agentscale_store::observations::{ObservationQuery, ObservationRecord, ObservationStore};

/// The first moment of November 2026, in microseconds.
pub(crate) const NOVEMBER: u64 = 1_793_491_200_000_000;
pub(crate) const DAY: u64 = 86_400_000_000;

pub(crate) fn tenant() -> Tenant {
    Tenant::new("acme").expect("a name")
}

/// Of the tenant, at so many microseconds into November.
pub(crate) fn at(micros: u64) -> Observation {
    Observation::new(ObservationLevel::Info, "test.happened", stamp(NOVEMBER + micros)).with_tenant(tenant())
}

pub(crate) fn stamp(unix_micros: u64) -> Stamp {
    HybridClock::new(7).stamp(unix_micros)
}

pub(crate) fn numbered(level: ObservationLevel, number: u64) -> Observation {
    let mut observation = at(number).with_field("number", number);
    observation.level = level;
    observation
}

pub(crate) fn number(observation: &Observation) -> u64 {
    match observation.fields.first() {
        Some((_, FieldValue::Integer(number))) => number.cast_unsigned(),
        other => panic!("the number is first, not {other:?}"),
    }
}

/// Writes observations as one batch of a writer of their own.
pub(crate) async fn write(store: &dyn ObservationStore, observations: Vec<Observation>) {
    static WRITERS: AtomicU64 = AtomicU64::new(1);
    let writer = WRITERS.fetch_add(1, Ordering::Relaxed);
    let records = observations.into_iter().zip(1..);
    let records: Vec<_> =
        records.map(|(observation, number)| ObservationRecord::new(observation, writer, number)).collect();
    store.append(&records).await.expect("the batch is written");
}

/// All that fit, page by page.
pub(crate) async fn all(store: &dyn ObservationStore, mut query: ObservationQuery) -> Vec<Observation> {
    let mut found = Vec::new();
    loop {
        let page = store.query(&query).await.expect("they are read");
        found.extend(page.observations);
        match page.next {
            Some(next) => query = query.after(next.to_string().parse().expect("a cursor is text")),
            None => return found,
        }
    }
}
