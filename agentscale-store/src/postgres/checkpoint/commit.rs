//! The statement that writes commits of several threads.

use agentscale_core::Result;
use agentscale_core::checkpoint::StateLimits;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::op::{Shape, Verdict, Write};
use crate::chain::{SLACK_BYTES, TIMES};
use crate::checkpoint::stored::json;
use crate::postgres::{Bound, map_error};
use crate::retention::expires;

const CHANGE: i16 = 0;
const WHOLE: i16 = 1;

/// The arguments for commits of different threads.
pub(super) fn arguments(writes: &[&Write], limits: &StateLimits) -> Bound {
    let messages = || {
        writes.iter().enumerate().flat_map(|(place, write)| {
            write.commit.outbox.iter().map(move |message| (place as i64 + 1, message))
        })
    };
    let outcome = |write: &'_ Write| write.commit.outcome.clone();
    let until = |write: &'_ Write| {
        outcome(write).map(|outcome| i64::try_from(expires(&outcome, write.now)).unwrap_or(i64::MAX))
    };
    Bound::new()
        .with(column(writes, |write| write.commit.thread.tenant.as_str()))
        .with(column(writes, |write| write.commit.thread.agent_type.as_str()))
        .with(column(writes, |write| write.commit.thread.key.as_str()))
        .with(column(writes, |write| i64::from(write.commit.epoch.incarnation)))
        .with(column(writes, |write| write.commit.epoch.counter.cast_signed()))
        .with(column(writes, |write| write.commit.expected.0.cast_signed()))
        .with(column(writes, |write| write.commit.id.0))
        .with(column(writes, |write| match write.shape {
            Shape::Change => None,
            Shape::Whole { after } => Some(after),
            Shape::Folded { after } => after,
        }))
        .with(column(writes, |write| if write.shape == Shape::Change { CHANGE } else { WHOLE }))
        .with(column(writes, |write| write.commit.header.codec.as_str()))
        .with(column(writes, |write| i64::from(write.commit.header.schema_version)))
        .with(column(writes, |write| write.commit.stamp.to_parts().0.cast_signed()))
        .with(column(writes, |write| write.commit.stamp.to_parts().1.cast_signed()))
        .with(column(writes, |write| write.now.cast_signed()))
        .with(column(writes, |write| (!write.commit.tags.is_empty()).then(|| json(&write.commit.tags))))
        .with(column(writes, |write| write.delta.as_slice()))
        .with(column(writes, |write| write.commit.outcome.as_ref().map(|outcome| outcome.key.as_str())))
        .with(column(writes, |write| {
            write.commit.outcome.as_ref().map(|outcome| outcome.request_hash.as_slice())
        }))
        .with(column(writes, |write| {
            outcome(write).map(|outcome| i64::try_from(outcome.retention.as_micros()).unwrap_or(i64::MAX))
        }))
        .with(column(writes, until))
        .with(column(writes, |write| {
            write.commit.outcome.as_ref().and_then(|outcome| outcome.reply.as_deref())
        }))
        .with(column(writes, |write| write.commit.settles.map(|id| *id.as_uuid())))
        .with(column(writes, |write| write.commit.turn.as_ref().map(|turn| turn.0.as_str())))
        .with(messages().map(|(place, _)| place).collect::<Vec<_>>())
        .with(messages().map(|(_, message)| *message.id.as_uuid()).collect::<Vec<_>>())
        .with(messages().map(|(_, message)| message.message.as_ref()).collect::<Vec<&[u8]>>())
        .with(i64::try_from(limits.state_bytes).unwrap_or(i64::MAX))
        .with(SLACK_BYTES)
        .with(TIMES)
}

/// The place of a commit among those of its statement, and what became of it.
pub(super) fn verdict(row: &PgRow) -> Result<(usize, Verdict)> {
    read(row).map_err(map_error("commit"))
}

fn read(row: &PgRow) -> sqlx::Result<(usize, Verdict)> {
    let place = place(row)?;
    let verdict = match row.try_get::<i32, _>(1)? {
        0 => Verdict::Written { thread: row.try_get(2)?, behind: row.try_get(4)? },
        1 => Verdict::Fenced,
        2 => {
            let version: i64 = row.try_get(3)?;
            Verdict::Moved { version: version.cast_unsigned(), tip: row.try_get::<Option<Uuid>, _>(4)? }
        }
        3 => Verdict::OtherRequest { step: None },
        4 => Verdict::Settled,
        6 => Verdict::Stale,
        7 => Verdict::Long,
        _ => Verdict::Locked,
    };
    Ok((place, verdict))
}

/// Counted from 0; the statement counts from 1.
pub(super) fn place(row: &PgRow) -> sqlx::Result<usize> {
    let place: i64 = row.try_get(0)?;
    usize::try_from(place - 1).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn column<'a, T>(writes: &[&'a Write], of: impl Fn(&'a Write) -> T) -> Vec<T> {
    writes.iter().map(|write| of(write)).collect()
}
