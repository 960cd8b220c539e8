//! Taking jobs, and finding those that are due or lost.

use agentscale_core::Result;
use agentscale_core::jobs::{Cause, ClaimJobs, ClaimedJob, Finish, QueueName, WorkerId};

use super::finish::{Via, Whose, end};
use super::marks::Taken;
use super::row::{Columns, Place, Stored, micros};
use super::shared::Database;
use crate::postgres::Bound;

/// Due or lost jobs of one look.
const DUE: i64 = 1_000;

/// Takes jobs. A claim that finds fewer than it wants, and now and then one that does not, looks for due and lost ones, too.
pub(super) async fn claim(database: &Database, request: &ClaimJobs) -> Result<Vec<ClaimedJob>> {
    let limit = request.limit.min(database.limits.batch);
    let mut looked = database.marks.wants_due(&request.queue);
    if looked {
        bring(database, &request.queue).await?;
    }
    let mut claimed = take(database, request, limit).await?;
    while claimed.len() < limit && !looked {
        looked = true;
        match more(database, request, limit - claimed.len()).await {
            Ok(found) => claimed.extend(found),
            Err(error) if claimed.is_empty() => return Err(error),
            // What was claimed already is somebody's to run.
            Err(error) => tracing::warn!(%error, queue = %request.queue, "due jobs could not be looked for"),
        }
    }
    claimed.sort_by_key(|(class, seq, _)| (*class, *seq));
    Ok(claimed.into_iter().map(|(_, _, job)| job).collect())
}

type Claimed = Vec<(i16, i64, ClaimedJob)>;

/// Jobs that were due or lost.
async fn more(database: &Database, request: &ClaimJobs, limit: usize) -> Result<Claimed> {
    if bring(database, &request.queue).await? { take(database, request, limit).await } else { Ok(Vec::new()) }
}

async fn take(database: &Database, request: &ClaimJobs, limit: usize) -> Result<Claimed> {
    let look = database.marks.look(&request.queue, limit);
    let bound = Bound::new()
        .with(request.queue.as_str())
        .with(look.floor)
        .with(&look.classes)
        .with(&look.segments)
        .with(&look.marks)
        .with(i64::try_from(limit).unwrap_or(i64::MAX))
        .with(look.share)
        .with(request.worker.0)
        .with(micros(request.ttl));
    let rows = database.postgres.fetch(&database.statements.claim, bound).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    let mut taken: Vec<Taken> = Vec::with_capacity(rows.len());
    let mut last = 0;
    for row in &rows {
        let mut columns = Columns::of(row);
        last = columns.next()?;
        if let Some(found) = Stored::read(&mut columns)? {
            taken.push((found.class, found.place.segment, found.place.seq));
            let job = ClaimedJob::new(found.job, found.place.run().epoch, found.attempts, found.enqueued);
            claimed.push((found.class, found.place.seq, job));
        }
    }
    let all_below = (claimed.len() < limit).then_some(last);
    database.marks.saw(&request.queue, &look, &taken, all_below);
    Ok(claimed)
}

/// Makes due jobs ready and ends lost runs; says whether there were any.
async fn bring(database: &Database, queue: &QueueName) -> Result<bool> {
    let from = database.marks.due_from(queue);
    let bound = Bound::new().with(queue.as_str()).with(from).with(DUE);
    let rows = database.postgres.fetch(&database.statements.due, bound).await?;
    let mut lost = Vec::new();
    let (mut moved, mut now) = (0, 0);
    for row in &rows {
        let mut columns = Columns::of(row);
        let Some(segment) = columns.next::<Option<i16>>()? else {
            columns.skip(3);
            (moved, now) = (columns.next()?, columns.next()?);
            continue;
        };
        let place = Place { segment, id: columns.next()?, seq: columns.next()? };
        lost.push((place, WorkerId(columns.next()?)));
    }
    lose(database, &lost).await?;
    let found = i64::try_from(lost.len()).unwrap_or(i64::MAX);
    if moved.max(found) < DUE {
        database.marks.found_due(queue, now);
    }
    if moved > 0 {
        database.wake.tell(queue.clone());
    }
    Ok(moved > 0 || found > 0)
}

/// Ends runs whose time is over, if it still is.
pub(super) async fn lose(database: &Database, lost: &[(Place, WorkerId)]) -> Result<()> {
    let finish = |(place, worker): &(Place, WorkerId)| {
        Finish::retry(place.run(), Cause::lost(*worker), std::time::Duration::ZERO)
    };
    let finishes: Vec<Finish> = lost.iter().map(finish).collect();
    let finishes: Vec<&Finish> = finishes.iter().collect();
    end(database, &mut Via::Pool(&database.postgres), &finishes, Whose::Finders).await?;
    Ok(())
}
