use agentscale_core::{Result, TaskName, Tenant};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::oneshot;

use crate::observations::{ObservationRecord, RowText};
use crate::sqlite::{Batch, Insert, Rows, map_error};

const OPERATION: &str = "append observations";
/// Rows that one transaction removes.
const REMOVED: i64 = 500;

static OBSERVATIONS: Insert = Insert::new(
    "INSERT INTO observations (tenant, at, counter, node, writer, number, level, name, trace, task, agent_type, \
     agent_key, fields, truncated, words)",
    15,
    "ON CONFLICT DO NOTHING",
);

/// One operation, with where its answer goes.
#[derive(Debug)]
pub(super) enum Op {
    Append(Rows, oneshot::Sender<Result<()>>),
    /// A month is archived.
    Retire(Retiring, oneshot::Sender<Result<()>>),
    /// Removes some rows of a month, and says whether there are more.
    Remove(Retiring, oneshot::Sender<Result<bool>>),
}

/// A month of which the rows are to go.
#[derive(Clone, Debug)]
pub(super) struct Retiring {
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) name: String,
    /// The last row that was there when the month was archived.
    pub(super) last_seq: i64,
}

pub(super) fn rows(batch: &[ObservationRecord]) -> Result<Rows> {
    let mut rows = Rows::new(&OBSERVATIONS);
    for record in batch {
        let observation = &record.observation;
        let text = RowText::of(observation)?;
        let agent = observation.agent.as_ref();
        rows.row()
            .push(observation.tenant.as_ref().map_or("", Tenant::as_str).to_owned())
            .push(text.at)
            .push(text.counter)
            .push(text.node)
            .push(record.writer.cast_signed())
            .push(record.number.cast_signed())
            .push(observation.level as i16)
            .push(text.name)
            .push(observation.trace.map(|trace| trace.to_string()))
            .push(observation.task.as_ref().map(TaskName::as_str).map(str::to_owned))
            .push(agent.map(|agent| agent.agent_type.as_str().to_owned()))
            .push(agent.map(|agent| agent.key.as_str().to_owned()))
            .push(text.fields)
            .push(observation.truncated)
            .push(text.words)
            .end()?;
    }
    Ok(rows)
}

/// Each operation is a transaction: batches are large already.
#[derive(Debug)]
pub(super) struct ObservationWriter {
    connection: SqliteConnection,
}

impl ObservationWriter {
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self { connection }
    }

    async fn append(&mut self, mut rows: Rows) -> Result<()> {
        self.begin().await?;
        rows.insert(&mut self.connection, OPERATION).await?;
        self.commit().await
    }

    async fn retire(&mut self, month: &Retiring) -> Result<()> {
        sqlx::query("INSERT OR IGNORE INTO retiring VALUES (?1, ?2, ?3, ?4)")
            .bind(month.low)
            .bind(month.high)
            .bind(&month.name)
            .bind(month.last_seq)
            .execute(&mut self.connection)
            .await
            .map_err(map_error("retire observations"))?;
        Ok(())
    }

    async fn remove(&mut self, month: &Retiring) -> Result<bool> {
        let failed = || map_error("remove observations");
        self.begin().await?;
        let removed = sqlx::query(
            "DELETE FROM observations WHERE seq IN \
             (SELECT seq FROM observations WHERE at >= ?1 AND at < ?2 AND seq <= ?3 LIMIT ?4)",
        )
        .bind(month.low)
        .bind(month.high)
        .bind(month.last_seq)
        .bind(REMOVED)
        .execute(&mut self.connection)
        .await
        .map_err(failed())?;
        let is_more = removed.rows_affected() == REMOVED.cast_unsigned();
        if !is_more {
            let end = sqlx::query("DELETE FROM retiring WHERE low = ?1").bind(month.low);
            end.execute(&mut self.connection).await.map_err(failed())?;
        }
        self.commit().await?;
        Ok(is_more)
    }

    async fn begin(&mut self) -> Result<()> {
        self.connection.execute("BEGIN IMMEDIATE").await.map_err(map_error(OPERATION))?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<()> {
        self.connection.execute("COMMIT").await.map_err(map_error(OPERATION))?;
        Ok(())
    }

    async fn rolled_back<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            // Where there is no transaction any more, this is an error of no interest.
            let _ = self.connection.execute("ROLLBACK").await;
        }
        outcome
    }
}

impl Batch for ObservationWriter {
    type Op = Op;

    /// Whoever does not listen any more misses its answer.
    async fn apply(&mut self, ops: Vec<Op>) {
        for op in ops {
            match op {
                Op::Append(rows, answer) => {
                    let outcome = self.append(rows).await;
                    let _ = answer.send(self.rolled_back(outcome).await);
                }
                Op::Retire(month, answer) => {
                    let _ = answer.send(self.retire(&month).await);
                }
                Op::Remove(month, answer) => {
                    let outcome = self.remove(&month).await;
                    let _ = answer.send(self.rolled_back(outcome).await);
                }
            }
        }
    }

    async fn close(self) -> Result<()> {
        self.connection.close().await.map_err(map_error("close observation store"))
    }
}
