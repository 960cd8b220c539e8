//! Out of stored columns: values of the SDK, or `corrupt`.

use agentscale_core::checkpoint::{Checkpoint, CheckpointInfo, Version};
use agentscale_core::{AgentId, Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::codec;
use crate::delta;

/// A checkpoint out of all deltas that it builds on, oldest first, of which there are to be so many.
pub(crate) fn checkpoint(info: CheckpointInfo, count: i64, deltas: Vec<Vec<u8>>) -> Result<Checkpoint> {
    if count.cast_unsigned() != deltas.len() as u64 {
        return Err(corrupt("load checkpoint", &info.thread, info.version));
    }
    let mut writes = Vec::new();
    for delta in deltas {
        writes.extend(codec::decode(delta).map_err(|error| error.with_context("thread", &info.thread))?);
    }
    Ok(Checkpoint::new(info, delta::fold(Vec::new(), writes)))
}

fn corrupt(operation: &'static str, thread: &AgentId, version: Version) -> Error {
    Error::new(ErrorKind::Corrupt, operation)
        .with_context("thread", thread)
        .with_context("version", version.0)
}

pub(crate) fn agent_id(tenant: &str, agent_type: &str, key: &str) -> Result<AgentId> {
    let stored = |error: Error| Error::new(ErrorKind::Corrupt, "read thread").with_source(error);
    Ok(AgentId {
        tenant: tenant.try_into().map_err(stored)?,
        agent_type: agent_type.try_into().map_err(stored)?,
        key: key.try_into().map_err(stored)?,
    })
}

pub(crate) fn hash(bytes: Vec<u8>) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Error::new(ErrorKind::Corrupt, "read request hash"))
}

pub(crate) fn uuid(bytes: &[u8]) -> Result<Uuid> {
    Uuid::from_slice(bytes).map_err(|error| Error::new(ErrorKind::Corrupt, "read id").with_source(error))
}

pub(crate) fn parse<T: DeserializeOwned>(json: Option<&str>) -> Result<Option<T>> {
    json.map(serde_json::from_str)
        .transpose()
        .map_err(|error| Error::new(ErrorKind::Corrupt, "read checkpoint").with_source(error))
}

/// Names and numbers as they are stored.
pub(crate) fn json(values: &impl Serialize) -> String {
    serde_json::to_string(values).expect("names and numbers have a JSON form")
}

/// A limit as databases count.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
