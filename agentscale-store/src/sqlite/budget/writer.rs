use agentscale_core::budget::{Balance, BudgetId, Exchange, Exchanged, Holder, JoinRequest, LeaveRequest};
use agentscale_core::{Error, ErrorKind, Result};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::oneshot;

use super::{holders, lines, usage};
use crate::sqlite::{Batch, map_error};

type Answer<T> = oneshot::Sender<Result<T>>;

/// One operation, with where its answer goes.
#[derive(Debug)]
pub(super) enum Op {
    Join(JoinRequest, Answer<Holder>),
    Exchange(Exchange, Answer<Exchanged>),
    Leave(LeaveRequest, Answer<()>),
    Balances(Vec<BudgetId>, u64, Answer<Vec<Balance>>),
}

/// Writes batches of operations, one transaction each.
#[derive(Debug)]
pub(super) struct BudgetWriter {
    connection: SqliteConnection,
}

impl BudgetWriter {
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self { connection }
    }

    async fn transact(&mut self, ops: &[Op]) -> Result<Vec<Result<Outcome>>> {
        self.connection.execute("BEGIN IMMEDIATE").await.map_err(map_error("begin budgets"))?;
        let mut outcomes = Vec::with_capacity(ops.len());
        for op in ops {
            outcomes.push(self.apply_one(op).await?);
        }
        self.connection.execute("COMMIT").await.map_err(map_error("commit budgets"))?;
        Ok(outcomes)
    }

    /// The outer error ends the transaction; the inner one is this operation's own.
    async fn apply_one(&mut self, op: &Op) -> Result<Result<Outcome>> {
        let connection = &mut self.connection;
        match op {
            Op::Join(request, _) => {
                holders::expire(connection, request.now).await?;
                lines::forget_old(connection, request.now).await?;
                holders::join(connection, request).await.map(Outcome::Joined).map(Ok)
            }
            Op::Exchange(exchange, _) => {
                holders::expire(connection, exchange.now).await?;
                let is_new = match holders::enter(connection, exchange).await? {
                    Ok(is_new) => is_new,
                    Err(refused) => return Ok(Err(refused)),
                };
                let exchanged = lines::exchange(connection, exchange).await?;
                if is_new {
                    usage::add(connection, &exchange.usage).await?;
                    lines::forget_old(connection, exchange.now).await?;
                }
                Ok(Ok(Outcome::Exchanged(exchanged)))
            }
            Op::Leave(request, _) => {
                holders::expire(connection, request.now).await?;
                Ok(holders::leave(connection, request.epoch).await?.map(|()| Outcome::Left))
            }
            Op::Balances(budgets, now, _) => {
                holders::expire(connection, *now).await?;
                lines::balances(connection, budgets).await.map(Outcome::Balances).map(Ok)
            }
        }
    }
}

#[derive(Debug)]
enum Outcome {
    Joined(Holder),
    Exchanged(Exchanged),
    Left,
    Balances(Vec<Balance>),
}

impl Op {
    /// Whoever does not listen any more misses its answer.
    fn answer(self, outcome: Result<Outcome>) {
        match (self, outcome) {
            (Self::Join(_, answer), Ok(Outcome::Joined(holder))) => drop(answer.send(Ok(holder))),
            (Self::Exchange(_, answer), Ok(Outcome::Exchanged(grants))) => drop(answer.send(Ok(grants))),
            (Self::Leave(_, answer), Ok(Outcome::Left)) => drop(answer.send(Ok(()))),
            (Self::Balances(_, _, answer), Ok(Outcome::Balances(found))) => drop(answer.send(Ok(found))),
            (op, Ok(_)) => op.fail(Error::new(ErrorKind::Internal, "answer ledger")),
            (op, Err(error)) => op.fail(error),
        }
    }

    fn fail(self, error: Error) {
        match self {
            Self::Join(_, answer) => drop(answer.send(Err(error))),
            Self::Exchange(_, answer) => drop(answer.send(Err(error))),
            Self::Leave(_, answer) => drop(answer.send(Err(error))),
            Self::Balances(_, _, answer) => drop(answer.send(Err(error))),
        }
    }
}

impl Batch for BudgetWriter {
    type Op = Op;

    async fn apply(&mut self, ops: Vec<Op>) {
        match self.transact(&ops).await {
            Ok(outcomes) => ops.into_iter().zip(outcomes).for_each(|(op, outcome)| op.answer(outcome)),
            Err(error) => {
                // Where there is no transaction any more, this is an error of no interest.
                let _ = self.connection.execute("ROLLBACK").await;
                ops.into_iter().for_each(|op| op.fail(error.clone()));
            }
        }
    }

    async fn close(self) -> Result<()> {
        self.connection.close().await.map_err(map_error("close budget ledger"))
    }
}
