//! Why an operation on a thread is refused, in the same words by every store.

use agentscale_core::checkpoint::ForkRequest;
use agentscale_core::{AgentId, Error, ErrorKind, Result};

/// Why a commit is refused whose message another turn has handled.
pub(crate) const SETTLED: &str = "the handled message does not stand in the outbox";

/// # Errors
/// `permission_denied` across tenants.
pub(crate) fn check_fork(request: &ForkRequest) -> Result<()> {
    if request.from.tenant != request.to.tenant {
        return Err(fork_error(ErrorKind::PermissionDenied, &request.to));
    }
    Ok(())
}

pub(crate) fn fork_error(kind: ErrorKind, thread: &AgentId) -> Error {
    Error::new(kind, "fork thread").with_context("thread", thread)
}

pub(crate) fn fenced(operation: &'static str, thread: &AgentId) -> Error {
    Error::new(ErrorKind::Fenced, operation).with_context("thread", thread)
}

pub(crate) fn conflict(operation: &'static str, thread: &AgentId, reason: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, operation).with_context("thread", thread).with_context("reason", reason)
}
