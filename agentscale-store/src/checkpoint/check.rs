//! Text that not every database can hold or look for is refused by name, before anything is written.

use agentscale_core::checkpoint::{AppendSteps, Commit, TurnId};
use agentscale_core::{AgentId, Error, ErrorKind, MAX_NAME_BYTES, Result};

/// # Errors
/// `invalid_input` for a codec that PostgreSQL cannot hold.
#[cfg(feature = "postgres")]
pub(crate) fn codec(commit: &Commit) -> Result<()> {
    name("commit", &commit.thread, "codec", commit.header.codec.as_str())
}

/// # Errors
/// `invalid_input` for a turn that cannot be stored.
pub(crate) fn commit(commit: &Commit) -> Result<()> {
    match &commit.turn {
        Some(TurnId(turn)) => name("commit", &commit.thread, "turn", turn),
        None => Ok(()),
    }
}

/// # Errors
/// `invalid_input` for a turn that cannot be stored.
pub(crate) fn steps(steps: &AppendSteps) -> Result<()> {
    name("append steps", &steps.thread, "turn", &steps.turn.0)
}

fn name(operation: &'static str, thread: &AgentId, what: &'static str, name: &str) -> Result<()> {
    let reason = if name.contains('\0') {
        "holds a NUL byte"
    } else if name.len() > MAX_NAME_BYTES {
        "too long"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, operation)
        .with_context("thread", thread)
        .with_context("name", what)
        .with_context("reason", reason))
}
