use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::jobs::QueueName;
use tokio::time::{Instant, sleep};

use super::row::{Columns, corrupt};
use super::shared::{Database, Shared};
use crate::postgres::Bound;

/// Looks whenever somebody tells that there is something, and now and then unasked.
pub(super) async fn changed(shared: &Shared, queues: &[QueueName], wait: Duration) -> Result<Vec<QueueName>> {
    let began = Instant::now();
    let Shared { database, config, .. } = shared;
    let mut pause = config.busy_poll;
    let waiting = database.wake.wait(queues);
    loop {
        let found = look(database, queues).await?;
        let left = wait.saturating_sub(began.elapsed());
        if !found.is_empty() || left.is_zero() {
            return Ok(found);
        }
        let next = if database.wake.listens() { config.idle_poll } else { pause };
        tokio::select! {
            () = waiting.told() => pause = config.busy_poll,
            () = sleep(next.min(left)) => pause = (pause * 3 / 2).min(config.idle_poll),
        }
    }
}

async fn look(database: &Database, queues: &[QueueName]) -> Result<Vec<QueueName>> {
    let bound = Bound::new()
        .with(queues.iter().map(QueueName::as_str).collect::<Vec<_>>())
        .with(queues.iter().map(|queue| database.marks.floor(queue)).collect::<Vec<_>>())
        .with(queues.iter().map(|queue| database.marks.due_mark(queue)).collect::<Vec<_>>());
    let rows = database.postgres.fetch(&database.statements.changed, bound).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let place = usize::try_from(Columns::of(row).next::<i64>()? - 1).map_err(|_| corrupt("place"))?;
        let queue = queues.get(place).ok_or_else(|| corrupt("place"))?;
        database.marks.distrust(queue);
        found.push(queue.clone());
    }
    Ok(found)
}
