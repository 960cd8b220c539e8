use std::sync::Arc;

use agentscale_core::lease::{AcquireRequest, Grant, LeaseKey, ReleaseRequest, RenewRequest};
use agentscale_core::{Clock, Error, ErrorKind, Result};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::oneshot;

use super::row;
use crate::lease::Record;
use crate::sqlite::{Batch, map_error};

type Answer<T> = oneshot::Sender<Result<T>>;

/// One operation, with where its answer goes.
#[derive(Debug)]
pub(super) enum Op {
    Acquire(AcquireRequest, Answer<Grant>),
    Renew(RenewRequest, Answer<Grant>),
    Release(ReleaseRequest, Answer<()>),
}

/// The answer of an operation: a grant where it was not a release.
type Outcome = Result<Option<Grant>>;

impl Op {
    fn key(&self) -> &LeaseKey {
        match self {
            Self::Acquire(request, _) => &request.key,
            Self::Renew(request, _) => &request.key,
            Self::Release(request, _) => &request.key,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Acquire(..) => "acquire lease",
            Self::Renew(..) => "renew lease",
            Self::Release(..) => "release lease",
        }
    }

    fn apply(&self, record: &mut Record, now: u64) -> Outcome {
        match self {
            Self::Acquire(request, _) => record.acquire(request, now).map(Some),
            Self::Renew(request, _) => record.renew(request, now).map(Some),
            Self::Release(request, _) => record.release(request).map(|()| None),
        }
    }

    /// Whoever does not listen any more misses its answer.
    fn answer(self, outcome: Outcome) {
        let unexpected = || Error::new(ErrorKind::Internal, "answer lease");
        match self {
            Self::Acquire(_, answer) | Self::Renew(_, answer) => {
                let _ = answer.send(outcome.and_then(|grant| grant.ok_or_else(unexpected)));
            }
            Self::Release(_, answer) => {
                let _ = answer.send(outcome.map(|_| ()));
            }
        }
    }
}

/// Writes batches of operations, one transaction each.
#[derive(Debug)]
pub(super) struct LeaseWriter {
    connection: SqliteConnection,
    clock: Arc<dyn Clock>,
    syncs: bool,
}

impl LeaseWriter {
    pub(super) fn new(connection: SqliteConnection, clock: Arc<dyn Clock>) -> Self {
        Self { connection, clock, syncs: false }
    }

    async fn transact(&mut self, ops: &[Op]) -> Result<Vec<Outcome>> {
        self.begin(ops.iter().any(|op| matches!(op, Op::Acquire(..)))).await?;
        let mut outcomes = Vec::with_capacity(ops.len());
        for op in ops {
            outcomes.push(self.apply_one(op).await?);
        }
        self.connection.execute("COMMIT").await.map_err(map_error("commit leases"))?;
        Ok(outcomes)
    }

    async fn begin(&mut self, syncs: bool) -> Result<()> {
        if self.syncs != syncs {
            // SQLite applies this pragma when it is compiled, and refuses it within a transaction.
            let pragma = if syncs { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            sqlx::raw_sql(pragma).execute(&mut self.connection).await.map_err(map_error("begin leases"))?;
            self.syncs = syncs;
        }
        self.connection.execute("BEGIN IMMEDIATE").await.map_err(map_error("begin leases"))?;
        Ok(())
    }

    async fn apply_one(&mut self, op: &Op) -> Result<Outcome> {
        let key = op.key();
        let before = row::read(&mut self.connection, key, op.operation()).await?;
        let mut after = before.clone();
        // Read within the transaction: what was written before it was written earlier.
        let outcome = op.apply(&mut after, self.clock.unix_micros());
        if after != before {
            row::write(&mut self.connection, key, &after).await?;
        }
        Ok(outcome)
    }
}

impl Batch for LeaseWriter {
    type Op = Op;

    async fn apply(&mut self, ops: Vec<Op>) {
        match self.transact(&ops).await {
            Ok(outcomes) => ops.into_iter().zip(outcomes).for_each(|(op, outcome)| op.answer(outcome)),
            Err(error) => {
                // Where there is no transaction any more, this is an error of no interest.
                let _ = self.connection.execute("ROLLBACK").await;
                ops.into_iter().for_each(|op| op.answer(Err(error.clone())));
            }
        }
    }

    async fn close(self) -> Result<()> {
        self.connection.close().await.map_err(map_error("close lease store"))
    }
}
