//! Names that follow from a schedule and its run, so that the same run has the same job.

use agentscale_core::jobs::{JobId, Unique, UniqueKey, UniqueUntil};
use agentscale_core::schedule::ScheduleKey;
use uuid::{Builder, Uuid, Version};

use super::record::Record;

/// The job of a run at a time in milliseconds; `run` tells it from others of that version of the schedule.
pub(super) fn job_id(record: &Record, millis: u64, run: &[u8]) -> JobId {
    let info = &record.info;
    let mut hasher = blake3::Hasher::new();
    for name in [info.schedule.key.tenant.as_str(), info.schedule.key.name.as_str()] {
        // No name has a control character.
        hasher.update(name.as_bytes()).update(&[0]);
    }
    hasher.update(&info.revision.0.to_be_bytes()).update(run);
    let mut bytes = [0; 10];
    hasher.finalize_xof().fill(&mut bytes);
    JobId(Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
}

/// When an event came into being, as far as its id says so.
pub(super) fn millis_of(id: Uuid) -> u64 {
    match id.get_version() {
        Some(Version::SortRand) => id.as_u64_pair().0 >> 16,
        _ => 0,
    }
}

/// What the jobs of a schedule hold so that there is one at a time.
pub(super) fn unique(key: &ScheduleKey) -> Option<Unique> {
    let name = blake3::hash(key.name.as_str().as_bytes());
    let key = UniqueKey::new(format!("schedule {}", name.to_hex())).ok()?;
    Some(Unique { key, until: UniqueUntil::Ended })
}
