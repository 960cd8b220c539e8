//! What the queues have in common.

use agentscale_core::jobs::{Job, JobId};
use agentscale_core::{Error, ErrorKind};

/// Told to be the same where the same work was asked for: queue, kind and payload.
pub(crate) fn content_hash(job: &Job) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in [job.queue.as_str().as_bytes(), job.kind.as_str().as_bytes(), &job.payload] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The error of an enqueue under an id or a key that stands for other work.
pub(crate) fn conflict(id: JobId, what: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, "enqueue jobs")
        .with_context("job", id)
        .with_context("reason", "enqueued before with other content")
        .with_context("same", what)
}

/// The error of whoever names a job that its tenant does not have.
pub(crate) fn not_found(operation: &'static str, id: JobId) -> Error {
    Error::new(ErrorKind::NotFound, operation).with_context("job", id)
}
