//! What was answered lately, for askers whose connection was lost before the answer came.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use moka::Expiry;
use moka::sync::Cache;

use crate::message::MessageId;

/// Bytes of answers that are kept.
const MAX_BYTES: u64 = 16 << 20;
/// How long an answer is kept at most.
const LONGEST: Duration = Duration::from_secs(60);
/// What an entry takes beside its body.
const OVERHEAD: usize = 1_024;

/// Kept until their askers' deadlines, within a bound.
#[derive(Debug)]
pub(super) struct Answered(Cache<MessageId, Entry>);

#[derive(Clone, Debug)]
struct Entry {
    headers: HeaderMap,
    payload: Bytes,
    wait: Duration,
}

struct ByWait;

impl Expiry<MessageId, Entry> for ByWait {
    fn expire_after_create(&self, _: &MessageId, entry: &Entry, _: std::time::Instant) -> Option<Duration> {
        Some(entry.wait.min(LONGEST))
    }
}

impl Answered {
    pub(super) fn new() -> Self {
        let weigh =
            |_: &MessageId, entry: &Entry| u32::try_from(entry.payload.len() + OVERHEAD).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).expire_after(ByWait).build())
    }

    pub(super) fn put(&self, id: MessageId, headers: &HeaderMap, payload: &Bytes, wait: Duration) {
        self.0.insert(id, Entry { headers: headers.clone(), payload: payload.clone(), wait });
    }

    pub(super) fn get(&self, id: MessageId) -> Option<(HeaderMap, Bytes)> {
        self.0.get(&id).map(|entry| (entry.headers, entry.payload))
    }
}
