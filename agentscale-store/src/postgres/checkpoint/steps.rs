//! The statement that journals steps of several threads.

use agentscale_core::Result;
use agentscale_core::checkpoint::AppendSteps;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::commit::place;
use super::op::Verdict;
use crate::postgres::{Bound, map_error};

/// The arguments for steps of different threads.
pub(super) fn arguments(appended: &[&AppendSteps]) -> Bound {
    let steps = || {
        appended
            .iter()
            .enumerate()
            .flat_map(|(place, steps)| steps.steps.iter().map(move |step| (place as i64 + 1, step)))
    };
    Bound::new()
        .with(column(appended, |steps| steps.thread.tenant.as_str()))
        .with(column(appended, |steps| steps.thread.agent_type.as_str()))
        .with(column(appended, |steps| steps.thread.key.as_str()))
        .with(column(appended, |steps| i64::from(steps.epoch.incarnation)))
        .with(column(appended, |steps| steps.epoch.counter.cast_signed()))
        .with(column(appended, |steps| steps.turn.0.as_str()))
        .with(steps().map(|(place, _)| place).collect::<Vec<_>>())
        .with(steps().map(|(_, step)| i64::from(step.index)).collect::<Vec<_>>())
        .with(steps().map(|(_, step)| step.request_hash.as_slice()).collect::<Vec<&[u8]>>())
        .with(steps().map(|(_, step)| step.result.as_ref()).collect::<Vec<&[u8]>>())
}

/// The place of an operation among those of its statement, and what became of it.
pub(super) fn verdict(row: &PgRow) -> Result<(usize, Verdict)> {
    read(row).map_err(map_error("append steps"))
}

fn read(row: &PgRow) -> sqlx::Result<(usize, Verdict)> {
    let verdict = match row.try_get::<i32, _>(1)? {
        0 => Verdict::Written { thread: 0, behind: None },
        1 => Verdict::Fenced,
        3 => {
            let step: Option<i64> = row.try_get(2)?;
            Verdict::OtherRequest { step: step.and_then(|step| u32::try_from(step).ok()) }
        }
        _ => Verdict::Locked,
    };
    Ok((place(row)?, verdict))
}

fn column<'a, T>(appended: &[&'a AppendSteps], of: impl Fn(&'a AppendSteps) -> T) -> Vec<T> {
    appended.iter().map(|steps| of(steps)).collect()
}
