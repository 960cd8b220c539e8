//! Forks begin with the deltas of another thread instead of a copy, and hold them as long as they need them.

use agentscale_core::checkpoint::{
    At, CheckpointInfo, CheckpointOrigin, CommitId, ForkRequest, StateHeader, Version,
};
use agentscale_core::{ErrorKind, MessageId, Result, Stamp};
use sqlx::Row;

use super::read::{self, epoch, named};
use super::shared::Shared;
use crate::checkpoint::codec;
use crate::checkpoint::refusal::{conflict, fork_error};
use crate::checkpoint::stored::json;
use crate::postgres::{Bound, map_error};

/// Threads whose deltas one fork shares, at most: a fork of a fork shares those of both.
const MOST_SOURCES: i64 = 16;
/// How often a source is looked for that was removed while it was to be shared.
const ATTEMPTS: u32 = 8;

/// A checkpoint to fork from.
struct Source {
    info: CheckpointInfo,
    /// The number of its thread.
    thread: i64,
    /// Threads that a fork of it would share deltas of.
    threads: i64,
}

pub(super) async fn fork(shared: &Shared, request: ForkRequest) -> Result<CheckpointInfo> {
    shared.settle_buffered().await?;
    let mut info = None;
    for _ in 0..ATTEMPTS {
        let source = source(shared, &request).await?;
        let source = source.ok_or_else(|| fork_error(ErrorKind::NotFound, &request.from))?;
        info = match source.threads {
            ..=MOST_SOURCES => share(shared, &request, source).await?,
            _ => copy(shared, &request, source).await?,
        };
        if info.is_some() {
            break;
        }
    }
    let info =
        info.ok_or_else(|| conflict("fork thread", &request.from, "the thread changes all the time"))?;
    shared.database.known.forget(&request.to);
    shared.buffered.forget(&request.to);
    Ok(info)
}

async fn source(shared: &Shared, request: &ForkRequest) -> Result<Option<Source>> {
    let failed = || map_error("read source of fork");
    let version = match request.at {
        At::Version(version) => Some(version.0.cast_signed()),
        _ => None,
    };
    let bound = named(&request.from).with(version);
    let rows = shared.via().fetch(&shared.database.statements.source, bound).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let number = |column: usize| row.try_get::<i64, _>(column).map_err(failed());
    Ok(Some(Source { info: read::info(row, &request.from)?, thread: number(10)?, threads: number(11)? }))
}

/// Writes nothing of the state. `None` where the source was removed meanwhile.
async fn share(shared: &Shared, request: &ForkRequest, source: Source) -> Result<Option<CheckpointInfo>> {
    let (database, failed) = (&shared.database, || map_error("fork thread"));
    let statements = &database.statements;
    let begun = Begun::of(shared, request, &source.info);
    let delta = codec::encode(&[]);
    let bound = Bound::new()
        .with(source.thread)
        .with(request.to.tenant.as_str())
        .with(source.info.version.0.cast_signed())
        .with(request.to.agent_type.as_str())
        .with(request.to.key.as_str())
        .with(begun.id.0)
        .with(begun.now.cast_signed())
        .with(json(&begun.origin))
        .with(delta.as_slice());
    let lock = Bound::new().with(vec![source.thread]);
    let rows = database.postgres.fetch_locked(&statements.lock, lock, &statements.fork, bound).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    if row.try_get::<Option<i64>, _>(0).map_err(failed())?.is_none() {
        return Err(fork_error(ErrorKind::AlreadyExists, &request.to));
    }
    database.counters.payload(&delta);
    Ok(Some(begun.info(request, epoch(row, 0, 1).map_err(failed())?)))
}

/// Writes the whole state. `None` where the source was removed meanwhile.
async fn copy(shared: &Shared, request: &ForkRequest, source: Source) -> Result<Option<CheckpointInfo>> {
    let (database, via) = (&shared.database, &mut shared.via());
    let statements = &database.statements;
    let at = At::Version(source.info.version);
    let Some(whole) = read::checkpoint(via, statements, &request.from, at).await? else { return Ok(None) };
    let begun = Begun::of(shared, request, &whole.info);
    let delta = codec::encode(&codec::whole(&whole.fields));
    let (time, node) = begun.stamp.to_parts();
    let bound = named(&request.to)
        .with(begun.id.0)
        .with(begun.header.codec.as_str())
        .with(i64::from(begun.header.schema_version))
        .with(time.cast_signed())
        .with(node.cast_signed())
        .with(begun.now.cast_signed())
        .with(json(&begun.origin))
        .with(delta.as_slice());
    let rows = via.fetch(&statements.copy, bound).await?;
    let row = rows.first().ok_or_else(|| fork_error(ErrorKind::AlreadyExists, &request.to))?;
    database.counters.payload(&delta);
    Ok(Some(begun.info(request, epoch(row, 0, 1).map_err(map_error("fork thread"))?)))
}

/// The first checkpoint of a fork.
struct Begun {
    id: CommitId,
    now: u64,
    origin: CheckpointOrigin,
    header: StateHeader,
    stamp: Stamp,
}

impl Begun {
    fn of(shared: &Shared, request: &ForkRequest, source: &CheckpointInfo) -> Self {
        let now = shared.database.clock.unix_micros();
        Self {
            id: CommitId(*MessageId::new(now).as_uuid()),
            now,
            origin: CheckpointOrigin::Fork { from: request.from.clone(), version: source.version },
            header: source.header.clone(),
            stamp: source.stamp,
        }
    }

    fn info(self, request: &ForkRequest, epoch: agentscale_core::checkpoint::Epoch) -> CheckpointInfo {
        let to = request.to.clone();
        CheckpointInfo::new(to, Version(1), self.id, epoch, self.header, self.stamp).with_origin(self.origin)
    }
}
