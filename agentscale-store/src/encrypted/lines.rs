//! The threads that a state was forked through: said in the codec of its header, as a fork takes values along that were
//! sealed for its source.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentscale_core::AgentId;
use agentscale_core::checkpoint::{CheckpointInfo, CheckpointOrigin, Codec, Epoch, StateHeader};
use agentscale_core::{Error, ErrorKind, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::seal::{Line, corrupt, line};

const PREFIX: &str = "sealed1;";
/// A header has room for so many.
pub(super) const MOST: usize = 9;
/// Threads that are remembered, at most.
const REMEMBERED: usize = 100_000;

/// The header of a checkpoint of a thread that was forked through these others, the first one first.
pub(super) fn wrap(header: &StateHeader, through: &[Line]) -> StateHeader {
    let lines: Vec<String> = through.iter().map(|line| URL_SAFE_NO_PAD.encode(line)).collect();
    let codec = Codec::from(format!("{PREFIX}{};{}", lines.join("."), header.codec));
    StateHeader { codec, schema_version: header.schema_version }
}

/// Gives a stored checkpoint the header that it was committed with, and the threads that it was forked through.
///
/// # Errors
/// `corrupt` for a header that [`wrap`] did not make.
pub(super) fn unwrap(info: &mut CheckpointInfo) -> Result<Vec<Line>> {
    let parts = info.header.codec.as_str().strip_prefix(PREFIX).and_then(|rest| rest.split_once(';'));
    let (lines, codec) = parts.ok_or_else(|| corrupt("not encrypted by this store"))?;
    let mut through = Vec::new();
    for text in lines.split('.').filter(|text| !text.is_empty()) {
        let mut line = Line::default();
        let decoded = URL_SAFE_NO_PAD.decode_slice(text, &mut line);
        if decoded.ok() != Some(line.len()) {
            return Err(corrupt("not encrypted by this store"));
        }
        through.push(line);
    }
    info.header.codec = codec.to_owned().into();
    if let CheckpointOrigin::Fork { from, .. } = &info.origin {
        // Its header is the source's still.
        through.push(line(from));
    }
    Ok(through)
}

/// # Errors
/// `unsupported` for a source whose forks could not name the threads that they came through.
pub(super) fn check_fork(mut source: CheckpointInfo) -> Result<()> {
    let refused = |reason: &'static str| {
        Error::new(ErrorKind::Unsupported, "fork thread").with_context("reason", reason)
    };
    if matches!(source.origin, CheckpointOrigin::Fork { .. }) {
        return Err(refused("the source is the first checkpoint of a fork, before it has committed"));
    }
    if unwrap(&mut source)?.len() >= MOST {
        return Err(refused("too many forks of forks"));
    }
    Ok(())
}

/// Which threads those were forked through whose owners claimed or committed here.
#[derive(Debug, Default)]
pub(super) struct KnownLines {
    known: Mutex<HashMap<AgentId, (Epoch, Vec<Line>)>>,
}

impl KnownLines {
    pub(super) fn learn(&self, thread: AgentId, owner: Epoch, through: Vec<Line>) {
        let mut known = self.known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(thread, (owner, through));
    }

    pub(super) fn of(&self, thread: &AgentId, owner: Epoch) -> Option<Vec<Line>> {
        self.known().get(thread).filter(|(epoch, _)| *epoch == owner).map(|(_, through)| through.clone())
    }

    pub(super) fn forget(&self, thread: &AgentId) {
        self.known().remove(thread);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<AgentId, (Epoch, Vec<Line>)>> {
        // Nothing under the lock panics half way through a change.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
